"""Test whether a direction in latent space orders the visits of a knee, and determine that direction.

python -m training.shape_model.change_score FEMORA --others FEMORA --model FOLDER; writes FOLDER/change.json.

Each knee of FEMORA with two visits is left out in turn. The direction of change comes from the others' differences
(last visit minus first), with less weight on directions in which they vary; the left-out pair is ordered correctly if
its difference has a positive component along it. Knees of --others are ordered by the direction of all of FEMORA. The
exact binomial test gives the probability of this result by chance. Scores are in units of the mean change of the knees
in FEMORA.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import binomtest, spearmanr

from pipeline.grid import FloatArray
from pipeline.shape.built_in.decoder import FieldDecoder
from pipeline.shape.built_in.fit import fit, targets_of
from pipeline.shape.built_in.weights_file import read_decoder
from pipeline.shape.placement import below_cut
from training.shape_model.collection import load_femora

RIDGE: Final = 1.0
"""Ridge added to the covariance of the differences, relative to its mean variance."""

Pairs = dict[str, tuple[FloatArray, FloatArray]]
"""Knee -> latent vectors of its first and its last visit."""


def direction_of(differences: FloatArray) -> FloatArray:
    """(d,) direction from differences (n, d), scaled so that the mean difference projects to 1."""
    scatter = np.cov(differences.T)
    ridge = RIDGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    mean = differences.mean(axis=0)
    found: FloatArray = np.linalg.solve(scatter + ridge, mean)
    return found / (found @ mean)


def left_out_changes(differences: FloatArray) -> FloatArray:
    """(n,): change of each pair along the direction of all other pairs; positive if ordered correctly."""
    each = [differences[k] @ direction_of(np.delete(differences, k, axis=0)) for k in range(len(differences))]
    return np.array(each)


def pairs_of(folder: Path, decoder: FieldDecoder) -> Pairs:
    """Fitted latent vectors of the knees in a folder with more than one visit."""
    visits: dict[str, list[FloatArray]] = {}
    for femur in load_femora(folder):
        targets = targets_of(femur.bone, below_cut(femur.bone, femur.alignment), femur.cartilage)
        visits.setdefault(femur.knee, []).append(fit(decoder, targets, femur.alignment.matrix)[1])
    return {knee: (latents[0], latents[-1]) for knee, latents in visits.items() if len(latents) > 1}


def growth_with_time(changes: dict[str, float], folders: tuple[Path, ...]) -> dict[str, float]:
    """Spearman's rank correlation of a knee's change with the months between its visits, which are in file names."""
    visits: dict[str, list[int]] = {}
    for path in (path for folder in folders for path in folder.glob("*_*m.npz")):
        knee, visit = path.stem.split("_")
        visits.setdefault(knee, []).append(int(visit.removesuffix("m")))
    months = [max(visits[knee]) - min(visits[knee]) for knee in changes]
    found = spearmanr(months, list(changes.values()))
    return {"rank_correlation_with_months": round(float(found.statistic), 2), "its_p": float(f"{found.pvalue:.2g}")}


def measured(pairs: Pairs, others: Pairs) -> dict[str, Any]:
    """The scaled direction, and the fraction of independent knees that it orders correctly."""
    differences = np.array([last - first for first, last in pairs.values()])
    vector = direction_of(differences)
    changes = left_out_changes(differences)
    beside = np.array([(last - first) @ vector for first, last in others.values()])
    every, knees = np.concatenate([changes, beside]), (*pairs, *others)
    test = binomtest(int((every > 0).sum()), len(every), alternative="greater")
    first = np.array([visit for visit, _ in pairs.values()]) @ vector
    return {
        "pairs": len(every),
        "ordered": int((every > 0).sum()),
        "p": float(f"{test.pvalue:.2g}"),
        "not_ordered": [knee for knee, change in zip(knees, every, strict=True) if change <= 0],
        "changes": {knee: round(float(change), 2) for knee, change in zip(knees, every, strict=True)},
        "deviation_between_knees": round(float(first.std(ddof=1)), 2),
        "first_visits": float(first.mean()),
        "vector": [float(f"{value:.6g}") for value in vector],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("femora", type=Path)
    parser.add_argument("--others", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    decoder = read_decoder(given.model / "decoder.npz")
    found = measured(pairs_of(given.femora, decoder), pairs_of(given.others, decoder))
    found |= growth_with_time(found["changes"], (given.femora, given.others))
    print(json.dumps({name: value for name, value in found.items() if name != "vector"}))
    (given.model / "change.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

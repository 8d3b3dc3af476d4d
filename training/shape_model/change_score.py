"""Whether a direction in latent space orders two visits of a knee.

python -m training.shape_model.change_score FEMORA [FEMORA ...] --model FOLDER; writes FOLDER/change.json.

Each knee with two visits is left out in turn. The direction of change comes from the others' differences (later minus
earlier), whitened by a ridge; the left-out pair counts as ordered where its own difference points along it. The exact
binomial test says how likely as many are by chance. Knees with more than two visits count by their first and last.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import binomtest

from pipeline.grid import FloatArray
from pipeline.shape.built_in.fit import fit, targets_of
from pipeline.shape.built_in.weights_file import read_decoder
from pipeline.shape.placement import below_cut
from training.shape_model.collection import load_femora

RIDGE: Final = 1.0
"""Of the differences' covariance, in its mean variance."""


def direction_of(differences: FloatArray) -> FloatArray:
    """(d,): the mean difference of (n, d), less along directions in which differences scatter."""
    scatter = np.cov(differences.T)
    ridge = RIDGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    found: FloatArray = np.linalg.solve(scatter + ridge, differences.mean(axis=0))
    return found


def ordered(differences: FloatArray) -> list[bool]:
    """Of each pair, whether the direction from all other pairs orders it."""
    return [bool(differences[k] @ direction_of(np.delete(differences, k, axis=0)) > 0) for k in range(len(differences))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("femora", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    decoder = read_decoder(given.model / "decoder.npz")
    visits: dict[str, list[FloatArray]] = {}
    for femur in (femur for folder in given.femora for femur in load_femora(folder)):
        targets = targets_of(femur.bone, below_cut(femur.bone, femur.alignment), femur.cartilage)
        visits.setdefault(femur.knee, []).append(fit(decoder, targets, femur.alignment.matrix)[1])
    pairs = {knee: latents[-1] - latents[0] for knee, latents in visits.items() if len(latents) > 1}
    right = ordered(np.array(list(pairs.values())))
    test = binomtest(sum(right), len(right), alternative="greater")
    wrong = [knee for knee, well in zip(pairs, right, strict=True) if not well]
    found = {"pairs": len(right), "ordered": sum(right), "p": round(float(test.pvalue), 6), "not_ordered": wrong}
    print(json.dumps(found))
    (given.model / "change.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""make reproducibility: simulated scan-rescan repeatability of cartilage thickness.

    python -m training.knee_unet.reproducibility [MAPS] [--model nnunet_cascade] [--knees 9] [--repeats 10]

Each knee is rendered as if scanned repeatedly (rescan.py), segmented and measured by the pipeline. Writes
reproducibility.json to the folder of the model's weights; the Compare page reads it. A stopped run resumes from
build/reproducibility. Does not need torch.

    cv_percent  coefficient of variation: SD over the repeats / mean, root mean square over the knees
    sdc_mm      smallest detectable change: 1.96 sqrt(2) x SD within a knee, root mean square over the knees
                (Bland and Altman, Br. Med. J. 313, 1996: repeatability); of ThC or ThCtAB, the larger one
    sdc_mm_per_denuded_percent  what denuded bone adds to it: with it, 95 % of the differences between two repeats
                of worn places are smaller than what Detectable.mm gives for the larger dAB of the two

Knees in which a place is worn (dAB above COVERED_PERCENT in a repeat) do not count in the other figures of that place.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from pipeline.anatomy import SUMS
from pipeline.comparison.reproducibility import reproducibility_path
from pipeline.quantities import DAB, THC, THC_TAB
from pipeline.segmentation.registry import model as registered
from pipeline.types import Resources
from training.knee_unet.collection import SAMPLE, knee_of, maps_in
from training.knee_unet.evaluate import segmenter
from training.knee_unet.rescan import SHIFT_MM, TURN_DEG, scan_again
from training.knee_unet.specimen import read_expert_map
from training.measured import place_figures

RECORD: Final = Path("build/reproducibility")
DETECTABLE: Final = 1.96 * np.sqrt(2.0)
COVERED_PERCENT: Final = 1.0
WITHIN: Final = 0.95

Figures = dict[str, dict[str, float]]
"""place_figures of one repeat."""


def of_place(repeats: Iterable[Figures], quantity: str, place: str) -> NDArray[np.float64]:
    """(repeats,) a figure of a place; NaN for a repeat without it."""
    return np.array([one[quantity].get(place, np.nan) for one in repeats])


def worn_percent(repeats: Iterable[Figures], place: str) -> NDArray[np.float64]:
    """(repeats,) percent of the place that is denuded; of a sum, as pipeline.detectable has it."""
    terms = _TERMS.get(place, (place,))
    return np.asarray(np.hypot.reduce([np.nan_to_num(of_place(repeats, DAB.id, term)) for term in terms]))


_TERMS: Final = {
    f"{total.plate}/{total.name}": tuple(f"{term.plate}/{term.name}" for term in total.terms) for total in SUMS
}


def summarise(knees: list[list[Figures]]) -> dict[str, dict[str, float]]:
    """Figures per place, from the repeats of every knee in which the place is covered."""
    result = {}
    for place in dict.fromkeys(place for repeats in knees for one in repeats for place in one[THC_TAB.id]):
        covered = [repeats for repeats in knees if worn_percent(repeats, place).max() <= COVERED_PERCENT]
        found = [_spread(covered, quantity, place) for quantity in (THC.id, THC_TAB.id)]
        spread, cv, mean = max(found)
        if spread > 0:
            result[place] = {
                "cv_percent": round(100.0 * cv, 2),
                "sdc_mm": round(float(DETECTABLE * spread), 3),
                "mean_mm": round(mean, 2),
                "knees": len(covered),
            }
    return result


def _spread(knees: list[list[Figures]], quantity: str, place: str) -> tuple[float, float, float]:
    """(SD within a knee, coefficient of variation, mean) of a place; zeros without two repeats of a knee."""
    kept = [values[np.isfinite(values)] for values in (of_place(repeats, quantity, place) for repeats in knees)]
    kept = [values for values in kept if len(values) > 1]
    if not kept:
        return 0.0, 0.0, 0.0
    means, spreads = np.array([v.mean() for v in kept]), np.array([v.std(ddof=1) for v in kept])
    return (
        float(np.sqrt(np.mean(spreads**2))),
        float(np.sqrt(np.mean((spreads / means) ** 2))),
        float(means.mean()),
    )


def per_denuded_percent(knees: list[list[Figures]], regions: Mapping[str, Mapping[str, float]]) -> tuple[float, int]:
    """sdc_mm_per_denuded_percent, and the number of worn places of a knee that it was found from."""
    excess, count = [], 0
    for repeats in knees:
        for place in regions:
            worn = worn_percent(repeats, place)
            if worn.max() <= COVERED_PERCENT or place in _TERMS:
                continue
            count += 1
            values = of_place(repeats, THC_TAB.id, place)
            for a, b in combinations(range(len(values)), 2):
                percent = max(worn[a], worn[b])
                if percent > COVERED_PERCENT:
                    excess.append((abs(values[a] - values[b]), regions[place]["sdc_mm"], percent))
    if not excess:
        return 0.0, 0
    change, known, percent = np.array(excess).T

    def short(rate: float) -> float:
        return float(np.mean(change <= np.hypot(known, rate * percent))) - WITHIN

    return (round(float(brentq(short, 0.0, 10.0)), 4) if short(0.0) < 0 else 0.0), count


def measure(path: Path, numbering: str, model: str, repeats: int, record: Path) -> list[Figures]:
    """The figures of one knee in every repeat. Repeats in the record are not computed again."""
    kept = record / f"{path.name.split('.')[0]}.json"
    found: list[Figures] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    if len(found) >= repeats:
        return found[:repeats]
    knee = read_expert_map(path, numbering)
    segment = segmenter(registered(model, Resources(threads=1)))
    person = int.from_bytes(knee_of(path).encode()[-4:], "big")
    for visit in range(len(found), repeats):
        found.append(place_figures(segment(scan_again(knee, person, visit))))
        kept.write_text(json.dumps(found), encoding="utf-8")
        print(f"{kept.stem} {visit + 1}/{repeats}", flush=True)  # a repeat takes most of a minute
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, nargs="?", help="folder of held-out label maps, or one with validation/")
    parser.add_argument("--numbering", help="default: oai; for the sample: canonical")
    parser.add_argument("--model", default="nnunet_fullres")
    parser.add_argument("--knees", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="knees measured in parallel")
    parser.add_argument("--target", type=Path, help="default: the folder of the model's weights")
    given = parser.parse_args()
    paths, numbering = [SAMPLE], given.numbering or "canonical"
    if given.maps is not None:
        inner = given.maps / "validation"
        paths, numbering = maps_in(inner if inner.is_dir() else given.maps), given.numbering or "oai"
    paths = paths[: given.knees]
    identity = registered(given.model, Resources()).identity()
    record = RECORD / given.model / "".join(digest[:8] for digest in identity.digests.values())
    record.mkdir(parents=True, exist_ok=True)
    ask = partial(measure, numbering=numbering, model=given.model, repeats=given.repeats, record=record)
    with ProcessPoolExecutor(given.at_once) as pool:
        knees = list(pool.map(ask, paths))
    regions = summarise(knees)
    rate, worn = per_denuded_percent(knees, regions)
    people = len({knee_of(path) for path in paths})
    content: dict[str, Any] = {
        "method": (
            f"Simulation: synthetic DESS scans of {len(paths)} label maps of {people} knees, each scanned "
            f"{given.repeats} times with new noise, a new receive field and a new position within {SHIFT_MM:g} mm and "
            f"{TURN_DEG:g} degrees; same protocol, same person. Where bone is denuded the error is larger: found from "
            f"{worn} worn regions. Real repeat scans also differ in ways that are not simulated: expect more."
        ),
        "made_by": "make reproducibility",
        "quantity": "mean ThC or ThCtAB, the larger error; of sums ThCtAB",
        "model": given.model,
        "digests": dict(identity.digests),
        "knees": len(paths),
        "repeats": given.repeats,
        "regions": regions,
        "sdc_mm_per_denuded_percent": rate,
    }
    target = given.target or reproducibility_path(registered(given.model, Resources()).card)
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for region, row in regions.items():
        print(f"{region:44}{row['mean_mm']:7.2f} mm  CV {row['cv_percent']:5.2f} %  detectable {row['sdc_mm']:.3f} mm")
    print(f"for each percent of denuded bone: {rate:.4f} mm, from {worn} worn regions")


if __name__ == "__main__":
    main()

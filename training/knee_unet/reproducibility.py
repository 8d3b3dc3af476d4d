"""make reproducibility: simulated scan-rescan repeatability of cartilage thickness.

    python -m training.knee_unet.reproducibility [MAPS] [--model nnunet_cascade] [--knees 6] [--repeats 20]

Each knee is rendered as if scanned repeatedly (rescan.py), segmented and measured by the pipeline. Writes
reproducibility.json to the folder of the model's weights; the Compare page reads it. Does not need torch.

    cv_percent  coefficient of variation: SD over the repeats / mean, root mean square over the knees
    sdc_mm      smallest detectable change: 1.96 sqrt(2) x SD within a knee, root mean square over the knees
                (Bland and Altman, Br. Med. J. 313, 1996: repeatability)
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.comparison.reproducibility import reproducibility_path
from pipeline.segmentation.registry import model as registered
from pipeline.types import Resources
from training.knee_unet.collection import SAMPLE, knee_of, maps_in
from training.knee_unet.evaluate import segmenter
from training.knee_unet.rescan import SHIFT_MM, TURN_DEG, scan_again
from training.knee_unet.specimen import read_expert_map
from training.measured import place_means

DETECTABLE: Final = 1.96 * np.sqrt(2.0)


def one_visit_each(paths: list[Path], count: int) -> list[Path]:
    """The first map of up to `count` knees."""
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(knee_of(path), path)
    return list(first.values())[:count]


def summarise(values: dict[str, list[NDArray[np.float64]]]) -> dict[str, dict[str, float]]:
    """Figures per region from (repeats,) mm of every knee; NaN for a repeat without the region."""
    result = {}
    for region, knees in values.items():
        kept = [v[np.isfinite(v)] for v in knees]
        kept = [v for v in kept if len(v) > 1]
        if kept:
            means = np.array([v.mean() for v in kept])
            spreads = np.array([v.std(ddof=1) for v in kept])
            result[region] = {
                "cv_percent": round(100.0 * float(np.sqrt(np.mean((spreads / means) ** 2))), 2),
                "sdc_mm": round(float(DETECTABLE * np.sqrt(np.mean(spreads**2))), 3),
                "mean_mm": round(float(means.mean()), 2),
            }
    return result


def measure(path: Path, numbering: str, model: str, repeats: int) -> dict[str, NDArray[np.float64]]:
    """Mean thickness of one knee per region, subregion and sum, (repeats,) mm."""
    knee = read_expert_map(path, numbering)
    segment = segmenter(registered(model, Resources()))
    person = int.from_bytes(knee_of(path).encode()[-4:], "big")
    found = []
    for visit in range(repeats):
        found.append(place_means(segment(scan_again(knee, person, visit))))
        print(f"{knee_of(path)} {visit + 1}/{repeats}", flush=True)
    regions = dict.fromkeys(region for one in found for region in one)
    return {region: np.array([one.get(region, np.nan) for one in found]) for region in regions}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, nargs="?", help="folder of held-out label maps, or one with validation/")
    parser.add_argument("--numbering", help="default: oai; for the sample: canonical")
    parser.add_argument("--model", default="nnunet_fullres")
    parser.add_argument("--knees", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="knees measured in parallel")
    parser.add_argument("--target", type=Path, help="default: the folder of the model's weights")
    given = parser.parse_args()
    paths, numbering = [SAMPLE], given.numbering or "canonical"
    if given.maps is not None:
        inner = given.maps / "validation"
        paths, numbering = maps_in(inner if inner.is_dir() else given.maps), given.numbering or "oai"
    paths = one_visit_each(paths, given.knees)
    values: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    with ProcessPoolExecutor(given.at_once) as pool:
        ask = partial(measure, numbering=numbering, model=given.model, repeats=given.repeats)
        for knee in pool.map(ask, paths):
            for region, found in knee.items():
                values[region].append(found)
    content: dict[str, Any] = {
        "method": (
            f"Simulation: synthetic DESS scans of {len(paths)} knees, each scanned {given.repeats} times with new "
            f"noise, a new receive field and a new position within {SHIFT_MM:g} mm and {TURN_DEG:g} degrees; same "
            "protocol, same person. Real repeat scans also differ in ways that are not simulated: expect more."
        ),
        "made_by": "make reproducibility",
        "quantity": "ThC, mean; of sums ThCtAB",
        "model": given.model,
        "digests": dict(registered(given.model, Resources()).identity().digests),
        "knees": len(paths),
        "repeats": given.repeats,
        "regions": summarise(values),
    }
    target = given.target or reproducibility_path(registered(given.model, Resources()).card)
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for region, row in content["regions"].items():
        print(f"{region:44}{row['mean_mm']:7.2f} mm  CV {row['cv_percent']:5.2f} %  detectable {row['sdc_mm']:.3f} mm")


if __name__ == "__main__":
    main()

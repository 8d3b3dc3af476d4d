"""How often a thinning of one subregion is called a change, and how often the other subregions are, in simulated scans.

    python -m training.evaluation.detected_change MAP [--subregion cMT] [--thin 0.1] [--pairs 20] [--processes 2]
    python -m training.evaluation.detected_change MAP --same-noise [--thin 0.3] --pairs 1

MAP is an expert label map. Cartilage is removed from the outer surface of the subregion, until its mean ThCtAB is lower
by --thin mm. The map and the thinned one are then scanned and segmented as in `make reproducibility`, in pairs; the
change of every subregion is compared with the smallest detectable change of the model. With --same-noise both scans of
a pair have the same noise and position: their difference is the model's response to the change alone. --gap: what
replaces the cartilage: joint fluid, as in the other conditions; the film between two plates, which is darker; or the
soft tissues of the renderer, which have the signal of cartilage in places and show no edge.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.anatomy import SUBREGION_SCHEME, Structure, Tissue
from pipeline.comparison.ordered import ORDERED
from pipeline.comparison.reproducibility import read_reproducibility, reproducibility_path
from pipeline.detectable import Detectable, denuded_percent
from pipeline.measure import measure_knee
from pipeline.quantities import PRIMARY, THC_TAB
from pipeline.segmentation.registry import model as registered
from pipeline.types import Measurement, Resources, Segmentation
from training.knee_unet.collection import knee_of
from training.knee_unet.evaluate import segmenter
from training.knee_unet.rescan import Loss, scan_again
from training.knee_unet.specimen import read_expert_map
from training.measured import findings_of
from training.signal import FREE_FLUID, TISSUES, Kind

PATCH_MM: Final = 1.5
"""Width of the patches in which voxels of the surface are removed: cartilage does not wear in single voxels."""
FIRST_SHARE: Final = 0.3
STEPS: Final = 3
"""The change is nearly proportional to the share of the surface's voxels that is removed."""
GAPS: Final = {"fluid": FREE_FLUID, "film": TISSUES[Kind.FLUID], "soft-tissue": None}
FIRST_VISIT: Final = 1000
"""Visits of `make reproducibility` have lower numbers: other noise."""


def thinned(knee: Segmentation, subregion: str, thin_mm: float) -> tuple[Segmentation, dict[str, float]]:
    """The knee with less cartilage in one subregion, and the change of every subregion's mean ThCtAB in mm.

    Removes a part of the voxels at the outer surface, in patches; the part is found in STEPS steps.
    """
    findings = findings_of(knee)
    before = subregion_means(measure_knee(findings))
    region = next(region for region in SUBREGION_SCHEME.regions if region.name == subregion)
    assert findings.divided is not None  # noqa: S101  findings_of divides
    labels = findings.segmentation.labels
    inside = np.isin(findings.divided, region.numbers)
    solid = np.isin(labels, [int(item) for item in Structure if item.tissue in (Tissue.BONE, Tissue.CARTILAGE)])
    outer = inside & ~ndimage.binary_erosion(solid)
    width = [PATCH_MM / spacing for spacing in knee.grid.spacing_mm]
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(labels.shape, dtype=np.float32), width)
    rows = np.argwhere(outer)[np.argsort(noise[outer])]
    share, made, changes = FIRST_SHARE, findings.segmentation, dict.fromkeys(before, 0.0)
    for _ in range(STEPS):
        less = labels.copy()
        less[tuple(rows[: round(share * len(rows))].T)] = 0
        made = replace(findings.segmentation, labels=less)
        changes = {
            name: value - before[name] for name, value in subregion_means(measure_knee(findings_of(made))).items()
        }
        share = min(1.0, share * -thin_mm / changes[subregion])
    return made, changes


def subregion_means(rows: Iterable[Measurement]) -> dict[str, float]:
    """Mean ThCtAB (mm) of every femorotibial subregion, by name."""
    names = {region.name for region in ORDERED}
    return {
        row.region: row.value
        for row in rows
        if row.region in names and (row.quantity, row.statistic, row.method) == (THC_TAB.id, THC_TAB.main, PRIMARY)
    }


@dataclass(frozen=True, kw_only=True)
class PairChange:
    """Change of one subregion between two scans, and the smallest detectable one in this pair, mm."""

    change: float
    detectable: float


def change_of_pair(
    pair: int, after: Segmentation, loss: Loss, person: int, model: str, same_noise: bool, detectable: Detectable
) -> dict[str, PairChange]:
    """Of every subregion of which both scans have a figure, by name."""
    segment = segmenter(registered(model, Resources(threads=1)))
    visit = FIRST_VISIT + 2 * pair
    seen = (scan_again(loss.before, person, visit), scan_again(after, person, visit + (not same_noise), loss=loss))
    tables = [measure_knee(findings_of(segment(scan))) for scan in seen]
    first, second = map(subregion_means, tables)
    worn = denuded_percent(*tables)
    found = {}
    for region in ORDERED:
        place = f"{region.plate}/{region.name}"
        limit = detectable.mm(place, worn.get(place, 0.0))
        if limit is not None and region.name in first and region.name in second:
            found[region.name] = PairChange(change=second[region.name] - first[region.name], detectable=limit)
    return found


def called(pairs: Sequence[Mapping[str, PairChange]]) -> dict[str, float]:
    """Subregion -> share of the pairs in which its change is larger than the smallest detectable one."""
    names = dict.fromkeys(name for pair in pairs for name in pair)
    return {
        name: float(np.mean([abs(pair[name].change) > pair[name].detectable for pair in pairs if name in pair]))
        for name in names
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("map", type=Path, help="an expert label map")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--subregion", default="cMT", choices=[region.name for region in ORDERED])
    parser.add_argument("--thin", type=float, default=0.1, metavar="MM")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--gap", choices=GAPS, default="fluid", help="what replaces the cartilage")
    parser.add_argument("--same-noise", action="store_true", help="the response to the change alone")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--model", default="nnunet_fullres")
    parser.add_argument("--figures", type=Path, help="reproducibility.json; default: the model's")
    given = parser.parse_args()
    path = given.figures or reproducibility_path(registered(given.model, Resources()).card)
    detectable = read_reproducibility(path).detectable
    before = read_expert_map(given.map, given.numbering)
    after, real = thinned(before, given.subregion, given.thin)
    # how well the requested thinning was reached
    print(f"{given.subregion}: thinned by {-real[given.subregion]:.3f} mm", flush=True)
    person = int.from_bytes(knee_of(given.map).encode()[-4:], "big")
    loss = Loss(before=before, fluid=GAPS[given.gap])
    facts = {"person": person, "model": given.model, "same_noise": given.same_noise, "detectable": detectable}
    ask = partial(change_of_pair, after=after, loss=loss, **facts)
    pairs: list[dict[str, PairChange]] = []
    with ProcessPoolExecutor(given.processes) as pool:
        for pair in pool.map(ask, range(given.pairs)):
            pairs.append(pair)
            # progress: a pair takes about a minute
            print(f"{len(pairs)}/{given.pairs}: {given.subregion} {pair[given.subregion].change:+.3f} mm", flush=True)
    # the result: one line per subregion, the thinned one marked
    for name, share in called(pairs).items():
        changes = np.array([pair[name].change for pair in pairs if name in pair])
        limit = np.median([pair[name].detectable for pair in pairs if name in pair])
        spread = changes.std(ddof=min(1, len(changes) - 1))
        mark = "thinned" if name == given.subregion else ""
        print(
            f"{name:6} detectable {limit:.3f} mm (median), change {changes.mean():+.3f} +- {spread:.3f} mm, "
            f"called changed in {share:.0%} {mark}"
        )


if __name__ == "__main__":
    main()

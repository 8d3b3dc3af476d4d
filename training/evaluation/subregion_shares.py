"""Area shares of tibial subregions over expert label maps, and what another voxel grid does to all subregions.

    python -m training.evaluation.subregion_shares MAPS [--numbering oai] [--knees N] [--turn [--spacing 0.5]]

MAPS/validation, or MAPS itself, contains label maps. --turn: each map is also resampled on a grid that is turned by 20,
15 and 25 degrees, with voxels of --spacing mm. The published shares are those of 448 knees (Osteoarthritis Initiative).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pipeline.anatomy import SUBREGION_SCHEME, SUMS, Compartment
from pipeline.anatomy.subregions import TIBIA, TIBIAL_PARTS
from pipeline.grid import Grid
from pipeline.image_io import read_label_map
from pipeline.labels import given_segmentation
from pipeline.measure import measure_knee
from pipeline.quantities import PRIMARY, TAB, THC_TAB
from pipeline.types import Segmentation
from training.knee_unet.collection import maps_in
from training.measured import findings_of

PUBLISHED: Final = {
    Compartment.MEDIAL: (0.198, 0.167, 0.152, 0.239, 0.244),
    Compartment.LATERAL: (0.198, 0.169, 0.185, 0.221, 0.222),
}
"""In the order of TIBIAL_PARTS."""

TURN_DEG: Final = (20.0, 15.0, 25.0)

Figures = dict[tuple[str, str], float]


def measure(knee: Segmentation) -> tuple[Figures, float]:
    """(quantity, region) -> mean ThCtAB in mm and tAB in mm2; CPU seconds of the rows of subregions."""
    findings = findings_of(knee)
    start = time.process_time()
    rows = measure_knee(findings)
    spent = time.process_time() - start
    start = time.process_time()
    measure_knee(replace(findings, divided=None))
    spent -= time.process_time() - start
    wanted = {(quantity.id, quantity.main.value) for quantity in (THC_TAB, TAB)}
    kept = [row for row in rows if row.method == PRIMARY and (row.quantity, row.statistic) in wanted]
    return {(row.quantity, row.region): row.value for row in kept}, spent


def turned(knee: Segmentation, spacing_mm: float) -> Segmentation:
    """The same knee on a turned grid of cubic voxels; of the structures, interpolated linearly, the largest wins."""
    direction = Rotation.from_euler("xyz", TURN_DEG, degrees=True).as_matrix()
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in knee.grid.shape], indexing="ij")).reshape(3, -1).T
    local = knee.grid.to_mm(corners) @ direction
    low, high = local.min(axis=0), local.max(axis=0)
    z, y, x = (int(n) for n in np.ceil((high - low)[::-1] / spacing_mm) + 1)
    grid = Grid(
        shape=(z, y, x), spacing_mm=(spacing_mm, spacing_mm, spacing_mm), origin_mm=direction @ low, direction=direction
    )
    back = np.linalg.inv(knee.grid.affine) @ grid.affine
    most = np.zeros(grid.shape, dtype=np.float32)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for label in (0, *knee.boxes):
        mask = (knee.labels == label).astype(np.float32)
        outside = 0.0 if label else 1.0
        part = ndimage.affine_transform(mask, back[:3, :3], back[:3, 3], output_shape=grid.shape, order=1, cval=outside)
        wins = part > most
        most[wins], labels[wins] = part[wins], int(label)
    return replace(knee, labels=labels, grid=grid)


def shares(found: Mapping[tuple[str, str], float]) -> dict[Compartment, list[float]]:
    """Shares of both plates' area, in the order of TIBIAL_PARTS."""
    areas = [[found[TAB.id, plate[part].name] for part in TIBIAL_PARTS] for plate in TIBIA]
    return {side: [area / sum(row) for area in row] for side, row in zip(Compartment, areas, strict=True)}


def _changes(first: Figures, second: Figures) -> str:
    """Differences of two sets of figures over all subregions, and of the whole plates beside them."""
    names = [place.name for place in (*SUBREGION_SCHEME.regions, *SUMS)]
    thickness = np.array([second[THC_TAB.id, n] - first[THC_TAB.id, n] for n in names if (THC_TAB.id, n) in second])
    area = np.array([second[TAB.id, n] / first[TAB.id, n] - 1 for n in names if (TAB.id, n) in second]) * 100
    within = [
        (second[TAB.id, f"{p[0]}{letter}T"] / second[TAB.id, side.value])
        / (first[TAB.id, f"{p[0]}{letter}T"] / first[TAB.id, side.value])
        - 1
        for letter, side in zip("ML", Compartment, strict=True)
        for p in TIBIAL_PARTS
    ]
    plates = [100 * (second[TAB.id, side.value] / first[TAB.id, side.value] - 1) for side in Compartment]
    return (
        f"turned: thickness RMS {np.sqrt((thickness**2).mean()):.3f} mm, worst {np.abs(thickness).max():.3f}; "
        f"area RMS {np.sqrt((area**2).mean()):.2f} %, worst {np.abs(area).max():.2f}; tibial shares of a plate RMS "
        f"{100 * np.sqrt(np.mean(np.square(within))):.2f} %; whole plates {plates[0]:+.2f}, {plates[1]:+.2f} %"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of label maps, or one with validation/")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--knees", type=int, help="only the first N maps")
    parser.add_argument("--turn", action="store_true", help="also on a turned grid")
    parser.add_argument("--spacing", type=float, default=0.5, metavar="MM", help="of the turned grid")
    given = parser.parse_args()
    inner = given.maps / "validation"
    found = []
    for path in maps_in(inner if inner.is_dir() else given.maps)[: given.knees]:
        knee = given_segmentation(read_label_map(path), given.numbering, None)
        figures, seconds = measure(knee)
        found.append(shares(figures))
        # one line per knee: shows progress, and which knee is far from the mean
        text = "; ".join(f"{side} {' '.join(f'{s:.3f}' for s in row)}" for side, row in found[-1].items())
        print(f"{path.name}: {text}; {seconds:.2f} CPU s", flush=True)
        if given.turn:
            # what resampling alone changes in this knee
            print(f"  {_changes(figures, measure(turned(knee, given.spacing))[0])}", flush=True)
    # the result, compared with the published shares
    for side, published in PUBLISHED.items():
        mean = np.mean([row[side] for row in found], axis=0)
        for part, ours, theirs in zip(TIBIAL_PARTS, mean, published, strict=True):
            print(f"{side} {part:10} {ours:.3f}, published {theirs:.3f}, difference {ours - theirs:+.3f}")


if __name__ == "__main__":
    main()

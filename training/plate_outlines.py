"""The outlines of healthy plates on the reference bones: mean and modes, from expert label maps.

    python -m training.plate_outlines MAPS [--numbering oai] [--output models/reference_knee/outlines.npz]

MAPS/train, or MAPS itself, contains label maps. All visits are used, each knee with the same weight. The maps come from
knees with osteoarthritis too: a mean and ten modes of many rims hold no single worn place, and nothing of one knee.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import CARTILAGE_OF, Structure
from pipeline.flat_maps.reference import pose_of, reference_plate
from pipeline.grid import FloatArray
from pipeline.image_io import read_label_map
from pipeline.labels import given_segmentation
from pipeline.plate_outline import BAND_MM, OUTLINES_PATH, FittedBone
from pipeline.quantities import PRIMARY
from pipeline.registration import chosen_rows
from pipeline.subregions import REGIONS_IN
from training.knee_unet.collection import maps_in
from training.measured import findings_of

MODES = 10
VERTICES = 1500
"""Per plate: 1 to 2 mm apart."""


def distances_of(path: Path, numbering: str) -> Iterator[tuple[Structure, FloatArray]]:
    """Of every plate of one map: signed distances at all vertices of the reference."""
    findings = findings_of(given_segmentation(read_label_map(path), numbering, None))
    assert findings.alignment is not None  # noqa: S101  findings_of aligns
    for item in findings.thickness:
        pose = pose_of(item.surface, findings.alignment) if item.method is PRIMARY else None
        if pose is None:
            continue
        fitted = FittedBone.of(item, pose)
        for structure in CARTILAGE_OF[item.surface.structure]:
            plate = item.in_plate & np.isin(item.region, REGIONS_IN[structure])
            yield structure, fitted.signed_distances(plate)


def outline_arrays(bone: Structure, distances: FloatArray, weights: FloatArray) -> dict[str, NDArray[np.generic]]:
    """The arrays of one plate, without its name. distances (maps, m): mm; weights (maps,) of the maps."""
    weights = weights / weights.sum()
    mean = weights @ distances
    points = reference_plate(bone).surface.points_mm
    near = np.flatnonzero(np.abs(mean) < BAND_MM - 0.5)
    rows = near[np.unique(chosen_rows(points[near], VERTICES))]
    centred = (distances[:, rows] - mean[rows]) * np.sqrt(weights)[:, None]
    _, spread, modes = np.linalg.svd(centred, full_matrices=False)
    return {
        "rows": rows.astype(np.int32),
        "mean_mm": mean[rows].astype(np.float32),
        "modes_mm": (modes[:MODES] * spread[:MODES, None]).T.astype(np.float32),
    }


def outlines_from(found: dict[Path, dict[Structure, FloatArray]]) -> dict[str, NDArray[np.generic]]:
    """All arrays of the file, from the distances of each map."""
    visits = Counter(_knee(path) for path in found)
    arrays: dict[str, NDArray[np.generic]] = {}
    for bone, plates in CARTILAGE_OF.items():
        for structure in plates:
            paths = [path for path in found if structure in found[path]]
            distances = np.stack([found[path][structure] for path in paths])
            weights = np.array([1.0 / visits[_knee(path)] for path in paths])
            made = outline_arrays(bone, distances, weights)
            arrays |= {f"{structure.key}_{name}": values for name, values in made.items()}
    return arrays


def _knee(path: Path) -> str:
    return path.name.split("_")[0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of label maps, or one with train/")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--output", type=Path, default=OUTLINES_PATH)
    given = parser.parse_args()
    inner = given.maps / "train"
    found = {}
    for path in maps_in(inner if inner.is_dir() else given.maps):
        found[path] = dict(distances_of(path, given.numbering))
        print(path.name, flush=True)  # progress: 5 s each
    arrays = outlines_from(found)
    np.savez_compressed(given.output, allow_pickle=False, **arrays)
    # which file was written, and from how many maps
    print(f"{given.output}: {len(found)} maps")


if __name__ == "__main__":
    main()

"""Total and denuded bone area where cartilage was removed from the rim of expert label maps.

    python -m training.evaluation.worn_plates MAPS [--numbering oai] [--knees N]

MAPS/validation, or MAPS itself, contains label maps. From each plate a third of its area is cut off by a plane, from
four directions; from the femur, the cartilage of one weight-bearing condyle is also removed. Compared with the whole
plate: tAB within its fitted outline, and dAB with what was removed. Plates whose rim is worn already (more than WORN of
their area, by the outline itself) are counted and left out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import (
    CARTILAGE_OF,
    FEMUR_LATERAL_WEIGHT_BEARING,
    FEMUR_MEDIAL_WEIGHT_BEARING,
    Structure,
)
from pipeline.flat_maps.reference import pose_of
from pipeline.grid import FloatArray
from pipeline.image_io import read_label_map
from pipeline.labels import given_segmentation
from pipeline.options import AnalysisOptions
from pipeline.plate_outline import worn_rim
from pipeline.quantities import PRIMARY
from pipeline.subregions import REGIONS_IN
from pipeline.thickness import thickness_maps
from pipeline.types import Alignment, LabelArray, Segmentation, Surface, ThicknessMap
from training.knee_unet.collection import maps_in
from training.measured import findings_of

SHARE: Final = 1 / 3
WORN: Final = 0.01
DIRECTIONS: Final = tuple(np.pi * (0.15 + 0.5 * k) for k in range(4))


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One bone of a knee, and its pose in the frame of the reference."""

    surface: Surface
    knee: Segmentation
    regions: LabelArray
    pose: Alignment

    def thickness(self, keep: NDArray[np.bool_] | None = None) -> ThicknessMap:
        """Keep (z, y, x): cartilage that stays."""
        knee, regions = self.knee, self.regions
        if keep is not None:
            knee = replace(knee, labels=np.where(keep, knee.labels, 0).astype(np.uint8))
            regions = np.where(keep, regions, 0).astype(np.uint8)
        return thickness_maps(self.surface, knee, regions, AnalysisOptions().cartilage_smoothing)[0]


def cases(path: Path, numbering: str) -> Iterator[Case]:
    """The bones of one map."""
    findings = findings_of(given_segmentation(read_label_map(path), numbering, None))
    assert findings.alignment is not None  # noqa: S101  findings_of aligns
    for item in findings.thickness:
        pose = pose_of(item.surface, findings.alignment) if item.method is PRIMARY else None
        if pose is not None:
            yield Case(surface=item.surface, knee=findings.segmentation, regions=findings.subregions, pose=pose)


def cuts(case: Case, structure: Structure, whole: ThicknessMap) -> Iterator[NDArray[np.bool_]]:
    """(z, y, x) each: what stays when a third of a plate's area is cut off by a plane."""
    plate = whole.in_plate & np.isin(whole.region, REGIONS_IN[structure])
    points, areas = case.surface.points_mm[plate], case.surface.vertex_areas_mm2[plate]
    centre = np.average(points, axis=0, weights=areas)
    axes = np.linalg.eigh(((points - centre) * areas[:, None]).T @ (points - centre))[1]
    grid, labels = case.knee.grid, case.knee.labels
    voxels = np.argwhere(labels == structure)
    for angle in DIRECTIONS:
        direction = np.cos(angle) * axes[:, 2] + np.sin(angle) * axes[:, 1]
        along = (points - centre) @ direction
        order = np.argsort(-along)
        limit = along[order[np.searchsorted(np.cumsum(areas[order]), SHARE * areas.sum())]]
        keep = np.ones(labels.shape, dtype=bool)
        keep[tuple(voxels[(grid.to_mm(voxels) - centre) @ direction > limit].T)] = False
        yield keep


def bare_condyles(case: Case) -> Iterator[NDArray[np.bool_]]:
    """(z, y, x) each: what stays without the cartilage of one of the two weight-bearing condyles."""
    for region in (FEMUR_MEDIAL_WEIGHT_BEARING, FEMUR_LATERAL_WEIGHT_BEARING):
        yield case.regions != region.label


def errors(whole: ThicknessMap, left: ThicknessMap, pose: Alignment, labels: tuple[int, ...]) -> tuple[float, ...]:
    """Of one plate, % of the whole: tAB without and with the outline, minus the whole; dAB minus what was removed."""
    areas: FloatArray = whole.surface.vertex_areas_mm2

    def area(item: ThicknessMap) -> float:
        return float(areas[item.in_plate & np.isin(item.region, labels)].sum())

    full, seen = area(whole), area(left)
    carried = float(areas[np.isin(worn_rim(left, pose), labels)].sum())
    covered = float(areas[np.isin(left.region, labels) & (left.thickness_mm > 0)].sum())
    was = float(areas[np.isin(whole.region, labels) & (whole.thickness_mm > 0)].sum())
    total = seen + carried
    return (
        100 * (seen / full - 1),
        100 * (total / full - 1),
        100 * (total - covered) / total - 100 * (1 - covered / was),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of label maps, or one with validation/")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--knees", type=int, help="only the first N maps")
    given = parser.parse_args()
    inner = given.maps / "validation"
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for path in maps_in(inner if inner.is_dir() else given.maps)[: given.knees]:
        for case in cases(path, given.numbering):
            whole = case.thickness()
            for structure in CARTILAGE_OF[case.surface.structure]:
                labels = REGIONS_IN[structure]
                before = errors(whole, whole, case.pose, labels)
                found[f"{structure.key}, as it is"].append(before)
                if before[1] > 100 * WORN:
                    continue
                parts = {"a third removed": cuts(case, structure, whole)}
                if structure is Structure.FEMORAL_CARTILAGE:
                    parts["one weight-bearing condyle removed"] = bare_condyles(case)
                for what, kept in parts.items():
                    for keep in kept:
                        left = case.thickness(keep)
                        found[f"{structure.key}, {what}"].append(errors(whole, left, case.pose, labels))
        print(path.name, flush=True)  # progress
    for name, rows in found.items():
        seen, total, bare = np.array(rows).T
        # the result: one line per plate and kind of loss
        print(
            f"{name} (n = {len(rows)}): tAB {seen.mean():+.1f} % seen, {total.mean():+.1f} +- {total.std():.1f} % with "
            f"the outline, worst {np.abs(total).max():.1f}; within 3 %: {np.mean(np.abs(total) <= 3):.0%}; dAB "
            f"{bare.mean():+.1f} +- {bare.std():.1f} points"
        )


if __name__ == "__main__":
    main()

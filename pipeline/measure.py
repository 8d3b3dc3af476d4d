"""From maps to measurement rows. Statistics on surfaces are weighted by area, because vertices are not evenly spaced.

A new measure needs a function here (or in a separate module), an entry in MEASURES, and a Quantity in
pipeline.quantities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import ALL, PLATE_ON, Plate, Region, Structure, Tissue
from pipeline.grid import FloatArray
from pipeline.joint_space import measure_joint_space
from pipeline.menisci import measure_menisci
from pipeline.plateau import Plateau, plateau_of
from pipeline.quantities import DAB, PRIMARY, SPREAD, TAB, THC, THC_TAB, VOLUME, Method, Quantity, Statistic
from pipeline.types import Alignment, LabelArray, Measurement, Segmentation, ThicknessMap


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What measures are taken from.

    subregions (z, y, x) uint8 on the segmentation's grid: labels of anatomy.REGIONS; thickness: one map per bone and
    method; t2_rows: the rows of the T2 step, empty where T2 was not measured; alignment: None: nothing is measured that
    depends on the side of the knee.
    """

    segmentation: Segmentation
    subregions: LabelArray
    thickness: tuple[ThicknessMap, ...]
    t2_rows: tuple[Measurement, ...] = ()
    alignment: Alignment | None = None

    def bone(self, bone: Structure) -> ThicknessMap | None:
        """The map of one bone by the primary method; None if it is missing."""
        found = (item for item in self.thickness if item.surface.structure is bone and item.method is PRIMARY)
        return next(found, None)

    @cached_property
    def plateau(self) -> Plateau | None:
        """The axes of the tibial plateau; None without an alignment or one of the tibial plates."""
        tibia = self.bone(Structure.TIBIA)
        return None if tibia is None or self.alignment is None else plateau_of(tibia, self.alignment.side)


def measure_knee(findings: Findings) -> tuple[Measurement, ...]:
    """All rows of results.csv, in the order of MEASURES."""
    return tuple(row for measure in MEASURES for row in measure(findings))


def measure_thickness(item: ThicknessMap) -> tuple[Measurement, ...]:
    """ThC, ThCtAB (mean, std, median), tAB and dAB of every region of one plate, and of the whole plate."""
    plate = PLATE_ON[item.surface.structure]
    areas = item.surface.vertex_areas_mm2
    inside = np.isfinite(item.thickness_mm) & (item.region > 0)
    rows: list[Measurement] = []
    for region in plate.parts:
        rows += _region_rows(item, region, inside & (item.region == region.label), areas)
    return (*rows, *_region_rows(item, plate.whole, inside, areas))


def _region_rows(item: ThicknessMap, region: Region, inside: NDArray[np.bool_], areas: FloatArray) -> list[Measurement]:
    covered = inside & (item.thickness_mm > 0)
    total, bare = float(areas[inside].sum()), float(areas[inside & ~covered].sum())

    def row(quantity: Quantity, statistic: Statistic, value: float, n: int) -> Measurement:
        return Measurement.of(
            quantity,
            method=item.method,
            structure=region.plate,
            region=region.name,
            statistic=statistic,
            value=value,
            n=n,
        )

    rows = []
    for quantity, where in ((THC, covered), (THC_TAB, inside)):
        n = int(where.sum())
        for statistic, value in weighted_statistics(item.thickness_mm[where], areas[where]).items():
            rows.append(row(quantity, statistic, value, n))
    n = int(inside.sum())
    rows.append(row(TAB, Statistic.TOTAL, total, n))
    rows.append(row(DAB, Statistic.SHARE, 100.0 * bare / total if total else np.nan, n))
    return rows


def weighted_statistics(values: FloatArray, weights: FloatArray) -> dict[Statistic, float]:
    """mean, std (of the population) and median of weighted values; NaN if there are none."""
    if not len(values) or weights.sum() <= 0:
        return dict.fromkeys(SPREAD, float("nan"))
    mean = float(np.average(values, weights=weights))
    std = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    median = float(values[order[int(np.searchsorted(share, share[-1] / 2))]])
    return {Statistic.MEAN: mean, Statistic.STD: std, Statistic.MEDIAN: median}


def measure_volumes(segmentation: Segmentation, subregions: LabelArray) -> tuple[Measurement, ...]:
    """Volume (mm3, from voxel counts) of every cartilage region and plate, and of the menisci if present."""
    voxel = segmentation.grid.voxel_volume_mm3
    counts = np.bincount(subregions[subregions > 0], minlength=256)
    rows = []
    for plate in Plate:
        rows += [_volume(plate, part.name, int(counts[part.label]), voxel) for part in plate.parts]
        rows.append(_volume(plate, plate.whole.name, int(counts[list(plate.labels)].sum()), voxel))
    menisci = {s: box for s, box in segmentation.boxes.items() if s.tissue is Tissue.MENISCUS}
    return (*rows, *(_volume(s.key, ALL, int((segmentation.labels[b] == s).sum()), voxel) for s, b in menisci.items()))


def _volume(structure: str, region: str, n: int, voxel_mm3: float) -> Measurement:
    return Measurement.of(
        VOLUME,
        method=Method.VOXEL_COUNT,
        structure=structure,
        region=region,
        statistic=Statistic.TOTAL,
        value=n * voxel_mm3,
        n=n,
    )


def _all_thickness(findings: Findings) -> tuple[Measurement, ...]:
    return tuple(row for item in findings.thickness for row in measure_thickness(item))


def _all_volumes(findings: Findings) -> tuple[Measurement, ...]:
    return measure_volumes(findings.segmentation, findings.subregions)


def _menisci(findings: Findings) -> tuple[Measurement, ...]:
    return measure_menisci(findings.segmentation, findings.plateau)


def _joint_space(findings: Findings) -> tuple[Measurement, ...]:
    femur, tibia = findings.bone(Structure.FEMUR), findings.bone(Structure.TIBIA)
    if femur is None or tibia is None:
        return ()
    return measure_joint_space(femur.surface, tibia, findings.plateau)


def _t2_rows(findings: Findings) -> tuple[Measurement, ...]:
    return findings.t2_rows


MEASURES: Final[tuple[Callable[[Findings], tuple[Measurement, ...]], ...]] = (
    _all_thickness,
    _all_volumes,
    _t2_rows,
    _menisci,
    _joint_space,
)
"""Everything that is measured, in the order of results.csv."""

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

from pipeline.anatomy import ALL, PLATE_ON, REGION_SCHEME, Plate, Structure, Tissue
from pipeline.detectable import Detectable
from pipeline.joint_space import measure_joint_space
from pipeline.menisci import measure_menisci
from pipeline.morphometry import measure_morphometry
from pipeline.parts import COMPUTED, Parts
from pipeline.plate_outline import measure_outlines
from pipeline.plateau import Plateau, plateau_of
from pipeline.quantities import PRIMARY
from pipeline.rows import region_rows, volume_row
from pipeline.types import Alignment, LabelArray, Measurement, Segmentation, ThicknessMap


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What measures are taken from.

    subregions (z, y, x) uint8 on the segmentation's grid: labels of anatomy.REGIONS; thickness: one map per bone and
    method; t2_rows: the rows of the T2 step, empty where T2 was not measured; alignment: None: nothing is measured that
    depends on the side of the knee; divided (z, y, x) uint8: labels of anatomy.SUBREGION_SCHEME, None where the plates
    were not divided; detectable: the smallest detectable changes; parts: computes what
    need not be computed again.
    """

    segmentation: Segmentation
    subregions: LabelArray
    thickness: tuple[ThicknessMap, ...]
    t2_rows: tuple[Measurement, ...] = ()
    alignment: Alignment | None = None
    divided: LabelArray | None = None
    detectable: Detectable = Detectable()
    parts: Parts = COMPUTED

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
    inside = item.in_plate
    rows: list[Measurement] = []
    for region in plate.parts:
        rows += region_rows(item, region, inside & (item.region == region.label), areas)
    return (*rows, *region_rows(item, plate.whole, inside, areas))


def measure_volumes(segmentation: Segmentation, subregions: LabelArray) -> tuple[Measurement, ...]:
    """Volume (mm3, from voxel counts) of every cartilage region and plate, and of the menisci if present."""
    voxel = segmentation.grid.voxel_volume_mm3
    counts = np.bincount(subregions[subregions > 0], minlength=256)
    rows = []
    for plate in Plate:
        rows += [volume_row(plate, part.name, int(counts[part.label]), voxel) for part in plate.parts]
        rows.append(volume_row(plate, plate.whole.name, int(counts[list(plate.labels)].sum()), voxel))
    menisci = {s: box for s, box in segmentation.boxes.items() if s.tissue is Tissue.MENISCUS}
    return (
        *rows,
        *(volume_row(s.key, ALL, int((segmentation.labels[b] == s).sum()), voxel) for s, b in menisci.items()),
    )


def _all_thickness(findings: Findings) -> tuple[Measurement, ...]:
    return tuple(row for item in findings.thickness for row in measure_thickness(item))


def _all_volumes(findings: Findings) -> tuple[Measurement, ...]:
    return measure_volumes(findings.segmentation, findings.subregions)


def _menisci(findings: Findings) -> tuple[Measurement, ...]:
    return measure_menisci(findings.segmentation, findings.plateau, findings.parts)


def _joint_space(findings: Findings) -> tuple[Measurement, ...]:
    femur, tibia = findings.bone(Structure.FEMUR), findings.bone(Structure.TIBIA)
    if femur is None or tibia is None:
        return ()
    return measure_joint_space(femur.surface, tibia, findings.plateau, findings.parts)


def _all_morphometry(findings: Findings) -> tuple[Measurement, ...]:
    if findings.divided is None:
        return ()
    return measure_morphometry(
        findings.thickness, findings.segmentation, findings.subregions, findings.divided, findings.detectable
    )


def _outlines(findings: Findings) -> tuple[Measurement, ...]:
    return measure_outlines(findings.thickness)


def _t2_rows(findings: Findings) -> tuple[Measurement, ...]:
    return tuple(row for row in findings.t2_rows if _is_of_first_scheme(row))


def _t2_of_subregions(findings: Findings) -> tuple[Measurement, ...]:
    return tuple(row for row in findings.t2_rows if not _is_of_first_scheme(row))


_FIRST_SCHEME: Final = frozenset((str(region.plate), region.name) for region in REGION_SCHEME.regions)


def _is_of_first_scheme(row: Measurement) -> bool:
    return (row.structure, row.region) in _FIRST_SCHEME


MEASURES: Final[tuple[Callable[[Findings], tuple[Measurement, ...]], ...]] = (
    _all_thickness,
    _all_volumes,
    _t2_rows,
    _menisci,
    _joint_space,
    _all_morphometry,
    _t2_of_subregions,
    _outlines,
)
"""Everything that is measured, in the order of results.csv."""

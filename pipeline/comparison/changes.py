"""Differences between two knees: per vertex, per region, and relative to the measurement error.

ThC_matched is the mean thickness over the bone points with a plate in both knees, with denuded bone as 0: the same
points in both. Every other quantity is computed for each knee separately, over its regions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import PLATE_ON, SUBREGION_SCHEME, Region, Structure
from pipeline.comparison.bones import Residual
from pipeline.comparison.reproducibility import Reproducibility
from pipeline.flags import QualityFlag, Use, deciding_flag
from pipeline.grid import FloatArray
from pipeline.quantities import QUANTITIES, THC, THC_MATCHED, THC_TAB, Unit, is_main
from pipeline.types import Measurement, ThicknessMap

WITH_SDC: Final = frozenset({THC.id, THC_TAB.id, THC_MATCHED.id})
"""The smallest detectable change was measured on ThC; it is used for all three."""

LEAST_COMPARED: Final = 0.5
"""Minimum compared fraction of a region's area for its mean to represent the region."""

WITHIN: Final = "within measurement error"
LARGER: Final = "larger than measurement error"
UNKNOWN: Final = "not known"


@dataclass(frozen=True, kw_only=True, eq=False)
class BoneChange:
    """One bone of the first knee and, at its n vertices, the thickness of both.

    second_mm (n,): the second knee's thickness, NaN if the point has no counterpart in a plate
    matrix (4, 4): second knee's LPS mm -> first's; includes the mirror image if the sides differ
    """

    first: ThicknessMap
    second_mm: FloatArray
    matrix: FloatArray
    residual: Residual

    @property
    def structure(self) -> Structure:
        return self.first.surface.structure

    @property
    def change_mm(self) -> FloatArray:
        """(n,) second - first; NaN if they cannot be compared."""
        return self.second_mm - self.first.thickness_mm


@dataclass(frozen=True, kw_only=True)
class Change:
    """One row: a of the first knee, b of the second, their difference, and its significance.

    change_percent      of a; None for fractions, and if a is 0
    sdc                 smallest detectable change, in `unit`, measured or published (Quantity.detectable), or None
    registration_rms_mm residual of the bones under the plate; None: the row does not depend on the registration
    registration_error  maximum effect of a shift along the bone by that residual, in `unit`
    compared_percent    percentage of the region's area with a counterpart
    flag, use           the graver use of the two figures, and the code of the flag that decides it
    """

    quantity: str
    structure: str
    region: str
    a: float | None
    b: float | None
    change: float | None
    change_percent: float | None
    sdc: float | None
    verdict: str
    registration_rms_mm: float | None
    unit: str
    registration_error: float | None = None
    compared_percent: float | None = None
    flag: str = ""
    use: str = Use.YES.value

    def judged(self, flags: Iterable[QualityFlag]) -> Change:
        """The same row with the use that the flags of both knees leave it; without verdict where that is `no`."""
        place = self.quantity, self.structure, self.region
        flag = deciding_flag(*place, flags)
        if flag is None:
            return self
        use = flag.use_of(*place)
        verdict = UNKNOWN if use is Use.NO else self.verdict
        return replace(self, flag=flag.code.value, use=use.value, verdict=verdict)


def matched_changes(bone: BoneChange, known: Reproducibility) -> tuple[Change, ...]:
    """ThC_matched of every region of a plate, then of the whole plate."""
    plate = PLATE_ON[bone.structure]
    rows = [_matched(bone, part, bone.first.region == part.label, known) for part in plate.parts]
    return (*rows, _matched(bone, plate.whole, bone.first.region > 0, known))


def matched_in_subregions(bone: BoneChange, known: Reproducibility) -> tuple[Change, ...]:
    """ThC_matched of the subregions of the first knee's plate; none where it is not divided."""
    return tuple(_matched(bone, region, here, known) for region, here in subregions_of(bone.first))


def subregions_of(item: ThicknessMap) -> tuple[tuple[Region, NDArray[np.bool_]], ...]:
    """Each subregion of a plate and its vertices (n,); none where the plate is not divided."""
    if not item.subregion.any():
        return ()
    plate = PLATE_ON[item.surface.structure]
    return tuple(
        (region, np.isin(item.subregion, region.numbers))
        for region in SUBREGION_SCHEME.regions
        if region.plate is plate
    )


def _matched(bone: BoneChange, region: Region, here: NDArray[np.bool_], known: Reproducibility) -> Change:
    areas = bone.first.surface.vertex_areas_mm2
    both = here & np.isfinite(bone.change_mm)
    a = b = error = None
    share = areas[both].sum() / max(areas[here].sum(), 1e-12)
    if share >= LEAST_COMPARED:
        a = float(np.average(bone.first.thickness_mm[both], weights=areas[both]))
        b = float(np.average(bone.second_mm[both], weights=areas[both]))
        error = bone.residual.plate_rms * float(np.linalg.norm(_mean_gradient(bone.first, both)))
    return _change(
        (THC_MATCHED.id, region.plate.value, region.name, THC_MATCHED.unit.value),
        (a, b),
        known,
        registration_rms_mm=bone.residual.plate_rms,
        registration_error=error,
        compared_percent=100.0 * float(share) if here.any() else None,
    )


def _mean_gradient(item: ThicknessMap, rows: NDArray[np.bool_]) -> FloatArray:
    """(3,) mean over the triangles within `rows` of the thickness' gradient along the surface, mm per mm.

    On a triangle with corners p0, p1, p2 and unit normal n it is n x (t0 (p2 - p1) + t1 (p0 - p2) + t2 (p1 - p0)) / 2A.
    A shift d of the whole plate changes the region's mean thickness by its product with d.
    """
    faces = item.surface.faces[rows[item.surface.faces].all(axis=1)]
    if not len(faces):
        return np.zeros(3)
    p = item.surface.points_mm[faces]
    t = item.thickness_mm[faces]
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])  # length 2A
    opposite = np.stack([p[:, 2] - p[:, 1], p[:, 0] - p[:, 2], p[:, 1] - p[:, 0]], axis=1)
    double = np.linalg.norm(normal, axis=1)
    unit = normal / np.maximum(double, 1e-12)[:, None]
    # gradient of each triangle times twice its area
    weighted = np.cross(unit, np.einsum("ij,ijk->ik", t, opposite))
    mean: FloatArray = weighted.sum(axis=0) / max(float(double.sum()), 1e-12)
    return mean


def own_changes(
    first: Iterable[Measurement], second: Iterable[Measurement], known: Reproducibility
) -> tuple[Change, ...]:
    """Changes of the figures computed per knee, in the order of the first knee's table."""
    there = {_key(row): row for row in second}
    rows = []
    for row in first:
        other = there.get(_key(row))
        if is_main(row.quantity, row.method, row.statistic) and other is not None:
            names = (row.quantity, row.structure, row.region, row.unit)
            rows.append(_change(names, (_finite(row.value), _finite(other.value)), known))
    return tuple(rows)


def _key(row: Measurement) -> tuple[str, ...]:
    return row.quantity, row.method, row.structure, row.region, row.statistic


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _change(
    names: tuple[str, str, str, str],
    values: tuple[float | None, float | None],
    known: Reproducibility,
    *,
    registration_rms_mm: float | None = None,
    registration_error: float | None = None,
    compared_percent: float | None = None,
) -> Change:
    quantity, structure, region, unit = names
    a, b = values
    change = None if a is None or b is None else b - a
    sdc = known.sdc_mm(structure, region) if quantity in WITH_SDC else _published(quantity, a)
    return Change(
        quantity=quantity,
        structure=structure,
        region=region,
        a=a,
        b=b,
        change=change,
        change_percent=None if change is None or not a or unit == Unit.PERCENT else 100.0 * change / a,
        sdc=sdc,
        verdict=_verdict(change, sdc, registration_error),
        registration_rms_mm=registration_rms_mm,
        unit=unit,
        registration_error=registration_error,
        compared_percent=compared_percent,
    )


def _published(quantity: str, first: float | None) -> float | None:
    detectable = QUANTITIES[quantity].detectable
    return None if detectable is None or first is None else detectable.of(first)


def _verdict(change: float | None, sdc: float | None, registration_error: float | None) -> str:
    """Compare with the smallest detectable change and the registration error, combined as independent errors."""
    if change is None or sdc is None:
        return UNKNOWN
    return LARGER if abs(change) > math.hypot(sdc, registration_error or 0.0) else WITHIN

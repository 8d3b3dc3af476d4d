"""Three and more visits of one knee: every bone registered to the earliest visit, and every figure against time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import BONES, PLATE_ON, Region, Structure
from pipeline.blas import one_blas_thread
from pipeline.comparison.changes import LARGER, LEAST_COMPARED, UNKNOWN, WITH_SDC, WITHIN, BoneChange, subregions_of
from pipeline.comparison.compare import POOR_FIT_MM, bone_change, differences, map_of
from pipeline.comparison.knee import Knee
from pipeline.comparison.reproducibility import Reproducibility
from pipeline.comparison.visits import LEAST_VISITS, require_times
from pipeline.errors import NotComparable
from pipeline.flags import QualityFlag, Use, deciding_flag
from pipeline.grid import FloatArray
from pipeline.quantities import THC_MATCHED, is_main
from pipeline.types import Measurement, ThicknessMap

OnProgress = Callable[[float, str], None]
"""Receives the progress, 0 to 1, and the current operation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Visit:
    """One analysis, and its time in years after any fixed date."""

    knee: Knee
    years: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowedBone:
    """One bone of the earliest visit.

    thickness_mm (v, n): of every visit at its n vertices, NaN where a point has no counterpart in a plate
    registered    the bones of the later visits, in the order of time
    """

    first: ThicknessMap
    thickness_mm: FloatArray
    registered: tuple[BoneChange, ...]

    @property
    def structure(self) -> Structure:
        return self.first.surface.structure


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One figure of every visit, and its straight line against time by least squares.

    values      in the order of time; None: not measured
    slope       per year, in `unit`; None with fewer than LEAST_VISITS values
    error       standard error of the slope from the residuals of the line; None with two degrees of freedom less
    expected    standard error from the repeatability of one measurement, SDC / (1.96 · √2); None: not known
    verdict     whether |slope| is larger than 1.96 times `expected`
    flag, use   the gravest use of all values, and the code of the flag that decides it
    """

    quantity: str
    structure: str
    region: str
    unit: str
    values: tuple[float | None, ...]
    slope: float | None = None
    error: float | None = None
    expected: float | None = None
    verdict: str = UNKNOWN
    flag: str = ""
    use: str = Use.YES.value

    def judged(self, flags: Iterable[QualityFlag]) -> Trend:
        """The same with the use that the flags of all visits leave it; without verdict where that is `no`."""
        place = self.quantity, self.structure, self.region
        flag = deciding_flag(*place, flags)
        if flag is None:
            return self
        use = flag.use_of(*place)
        return replace(self, flag=flag.code.value, use=use.value, verdict=UNKNOWN if use is Use.NO else self.verdict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """visits: in the order of time; years: after the earliest."""

    visits: tuple[Visit, ...]
    years: tuple[float, ...]
    bones: tuple[FollowedBone, ...]
    trends: tuple[Trend, ...]
    warnings: tuple[str, ...]


@one_blas_thread
def follow(visits: Sequence[Visit], known: Reproducibility, on_progress: OnProgress = lambda _, __: None) -> Series:
    """Register every visit to the earliest one, and fit a line to every figure.

    The result does not depend on the order in which the visits are given. Raises NotComparable for fewer than
    LEAST_VISITS visits, two at one time, different sides, or if no bone can be registered.
    """
    ordered = tuple(sorted(visits, key=lambda visit: visit.years))
    _require_series(ordered)
    years = tuple(visit.years - ordered[0].years for visit in ordered)
    bones: list[FollowedBone] = []
    # of a change of the model, say: a slope across it would not be the knee's
    warnings = list(dict.fromkeys(text for visit in ordered[1:] for text in differences(ordered[0].knee, visit.knee)))
    for number, structure in enumerate(BONES):
        on_progress(number / len(BONES), f"Registering {structure.title.lower()}")
        maps = [map_of(visit.knee, structure) for visit in ordered]
        there = [item for item in maps if item is not None]
        if len(there) < len(maps):
            if there:
                warnings.append(f"{structure.title}: not segmented in all visits.")
            continue
        try:
            bones.append(_followed(there, [visit.knee for visit in ordered]))
        except NotComparable as error:
            warnings.append(error.message)
    if not bones:
        raise NotComparable(
            " ".join(warnings) or "The visits have no bone in common.", hint="Follow visits of one person's knee."
        )
    warnings += [
        f"{bone.structure.title}: the bones are {max(apart):.2f} mm apart (expected less than {POOR_FIT_MM}). "
        "Check that all scans are of the same person."
        for bone in bones
        if max(apart := [later.residual.rms for later in bone.registered]) > POOR_FIT_MM
    ]
    known = known.in_knees(*(visit.knee.measurements for visit in ordered))
    trends = [trend for bone in bones for trend in _matched_trends(bone, years, known)]
    trends += _own_trends([visit.knee.measurements for visit in ordered], years, known)
    trends += [trend for bone in bones for trend in _matched_in_subregions(bone, years, known)]
    flags = tuple(flag for visit in ordered for flag in visit.knee.flags)
    return Series(
        visits=ordered,
        years=years,
        bones=tuple(bones),
        trends=tuple(trend.judged(flags) for trend in trends),
        warnings=tuple(warnings),
    )


def _require_series(ordered: tuple[Visit, ...]) -> None:
    require_times([visit.years for visit in ordered])
    sides = {visit.knee.side for visit in ordered}
    if len(sides) > 1:
        raise NotComparable(
            "The visits show left and right knees; expected one side.",
            hint="Follow visits of one knee. Left and right are compared as two analyses.",
        )


def _followed(maps: list[ThicknessMap], knees: list[Knee]) -> FollowedBone:
    registered = tuple(
        bone_change(maps[0], later, (knees[0], knee), mirror=False)
        for later, knee in zip(maps[1:], knees[1:], strict=True)
    )
    thickness = np.stack([maps[0].thickness_mm, *(bone.second_mm for bone in registered)])
    return FollowedBone(first=maps[0], thickness_mm=thickness, registered=registered)


def _matched_trends(bone: FollowedBone, years: tuple[float, ...], known: Reproducibility) -> list[Trend]:
    """ThC_matched of every region: the mean over the points that have a plate in all visits, denuded bone as 0."""
    plate, first = PLATE_ON[bone.structure], bone.first
    regions: list[tuple[Region, NDArray[np.bool_]]] = [(part, first.region == part.label) for part in plate.parts]
    places = (*regions, (plate.whole, first.region > 0))
    return [_matched(bone, region, here, years, known) for region, here in places]


def _matched_in_subregions(bone: FollowedBone, years: tuple[float, ...], known: Reproducibility) -> list[Trend]:
    return [_matched(bone, region, here, years, known) for region, here in subregions_of(bone.first)]


def _matched(
    bone: FollowedBone, region: Region, here: NDArray[np.bool_], years: tuple[float, ...], known: Reproducibility
) -> Trend:
    areas = bone.first.surface.vertex_areas_mm2
    both = here & np.isfinite(bone.thickness_mm).all(axis=0)
    share = areas[both].sum() / max(areas[here].sum(), 1e-12)
    values: list[float | None] = [None] * len(years)
    if share >= LEAST_COMPARED:
        values = [float(np.average(visit[both], weights=areas[both])) for visit in bone.thickness_mm]
    names = (THC_MATCHED.id, region.plate.value, region.name, THC_MATCHED.unit.value)
    return _trend(names, values, years, known)


def _own_trends(tables: list[tuple[Measurement, ...]], years: tuple[float, ...], known: Reproducibility) -> list[Trend]:
    """Of the figures of each visit by itself, in the order of the earliest visit's table."""
    later = [{_key(row): row.value for row in table} for table in tables[1:]]
    trends = []
    for row in tables[0]:
        if is_main(row.quantity, row.method, row.statistic) and all(_key(row) in table for table in later):
            values = [row.value, *(table[_key(row)] for table in later)]
            names = (row.quantity, row.structure, row.region, row.unit)
            trends.append(_trend(names, [value if math.isfinite(value) else None for value in values], years, known))
    return trends


def _key(row: Measurement) -> tuple[str, ...]:
    return row.quantity, row.method, row.structure, row.region, row.statistic


def _trend(
    names: tuple[str, str, str, str],
    values: Sequence[float | None],
    years: tuple[float, ...],
    known: Reproducibility,
) -> Trend:
    quantity, structure, region, unit = names
    trend = Trend(quantity=quantity, structure=structure, region=region, unit=unit, values=tuple(values))
    there = [(time, value) for time, value in zip(years, values, strict=True) if value is not None]
    if len(there) < LEAST_VISITS:
        return trend
    time, value = np.array(there).T
    centred = time - time.mean()
    spread = float((centred**2).sum())
    slope = float((centred * value).sum()) / spread
    residual = value - value.mean() - slope * centred
    error = math.sqrt(float((residual**2).sum()) / (len(there) - 2) / spread)
    sdc = known.sdc_mm(structure, region) if quantity in WITH_SDC else None
    expected = None if sdc is None else sdc / (1.96 * math.sqrt(2.0)) / math.sqrt(spread)
    verdict = UNKNOWN if expected is None else LARGER if abs(slope) > 1.96 * expected else WITHIN
    return replace(trend, slope=slope, error=error, expected=expected, verdict=verdict)

"""Comparisons of jobs as typed values; their JSON forms are published formats (GET /compare, GET /series)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class ComparedAnalysis:
    """One of the analyses. spacing_mm: voxel spacing (z, y, x); flags: as in its results.json."""

    job_id: str = ""
    side: Literal["left", "right"]
    model: dict[str, object]
    options: dict[str, object]
    spacing_mm: list[float]
    flags: list[dict[str, object]]


@dataclass(frozen=True, kw_only=True)
class BoneFit:
    """Registration of b's bone to a's.

    matrix              (4, 4) LPS mm of b -> LPS mm of a; includes a mirror image if the sides differ
    mean_mm, rms_mm, p95_mm   distance between the surfaces near the joint; plate_rms_mm: under cartilage only
    overlap_percent     of the bone's area
    """

    structure: str
    matrix: list[list[float]]
    mean_mm: float
    rms_mm: float
    p95_mm: float
    plate_rms_mm: float
    overlap_percent: float


@dataclass(frozen=True, kw_only=True)
class SmallestChange:
    """Source of the smallest detectable changes: number of knees and of repeated scans."""

    known: bool
    method: str
    knees: int
    repeats: int


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """One quantity in both analyses: change = b - a, in `unit`; null: not known.

    sdc                   smallest detectable change
    registration_error    largest change that a shift along the bone can cause
    compared_percent      of the region's area
    flag, use             the graver use of a and b, and the code of the flag that decides it
    """

    quantity: str
    structure: str
    region: str
    a: float | None
    b: float | None
    change: float | None
    change_percent: float | None
    sdc: float | None
    verdict: Literal["within measurement error", "larger than measurement error", "not known"]
    registration_rms_mm: float | None
    unit: str
    registration_error: float | None
    compared_percent: float | None
    flag: str
    use: Literal["yes", "caution", "no"]


@dataclass(frozen=True, kw_only=True)
class OrderedRow:
    """Change of ThCtAB of one subregion, µm. rank: 1 is the most negative; sure: larger than the measurement error."""

    rank: int
    subregion: str
    structure: str
    change_um: float
    sure: bool


@dataclass(frozen=True, kw_only=True)
class OrderedRows:
    """The 16 femorotibial subregions by their change, and the scores, µm; null where `why_none` states why.

    thinning_um, thickening_um  sums of the negative and of the positive changes (ThCTnS, ThCTkS)
    thinner, thicker            number of changes larger than the measurement error; null: it is not known
    """

    values: list[OrderedRow]
    thinning_um: float | None
    thickening_um: float | None
    thinner: int | None
    thicker: int | None
    why_none: str


@dataclass(frozen=True, kw_only=True)
class JobComparison:
    """Differences from analysis a to analysis b."""

    notice: str
    a: ComparedAnalysis
    b: ComparedAnalysis
    mirrored: bool
    warnings: list[str]
    registration: list[BoneFit]
    registration_note: str
    sdc: SmallestChange
    changes: list[ChangeRow]
    ordered: OrderedRows


@dataclass(frozen=True, kw_only=True)
class SeriesFit:
    """Registration of the bones of the later visits to that of the earliest, in the order of time.

    matrix          (visits - 1, 4, 4): LPS mm of the visit -> LPS mm of the earliest visit
    plate_rms_mm    distance between the surfaces under cartilage
    """

    structure: str
    matrix: list[list[list[float]]]
    plate_rms_mm: list[float]


@dataclass(frozen=True, kw_only=True)
class TrendRow:
    """One figure of every visit, and its straight line against time by least squares; null: not known.

    values      in the order of time, in `unit`
    slope       `unit` per year; needs at least three values
    error       standard error of the slope from the residuals of the line
    expected    standard error from the repeatability of one measurement
    verdict     whether the slope is larger than 1.96 times `expected`
    flag, use   the gravest use of all values, and the code of the flag that decides it
    """

    quantity: str
    structure: str
    region: str
    unit: str
    values: list[float | None]
    slope: float | None
    error: float | None
    expected: float | None
    verdict: Literal["within measurement error", "larger than measurement error", "not known"]
    flag: str
    use: Literal["yes", "caution", "no"]


@dataclass(frozen=True, kw_only=True)
class JobSeries:
    """Visits of one knee in the order of time; years: after the earliest."""

    notice: str
    years: list[float]
    visits: list[ComparedAnalysis]
    warnings: list[str]
    registration: list[SeriesFit]
    trends: list[TrendRow]


_ADAPTER: Final = TypeAdapter(JobComparison)
_SERIES_ADAPTER: Final = TypeAdapter(JobSeries)


def read_comparison(path: Path, first_id: str, second_id: str) -> JobComparison:
    """comparison.json, with the ids of the two jobs. Raises OSError, ValueError if it is not a comparison."""
    document = _ADAPTER.validate_python(json.loads(path.read_text(encoding="utf-8")))
    return replace(document, a=replace(document.a, job_id=first_id), b=replace(document.b, job_id=second_id))


def read_series(path: Path, job_ids: Sequence[str]) -> JobSeries:
    """series.json, with the ids of the jobs (in the order of time). Raises OSError, ValueError if it is none."""
    document = _SERIES_ADAPTER.validate_python(json.loads(path.read_text(encoding="utf-8")))
    visits = [replace(visit, job_id=job_id) for visit, job_id in zip(document.visits, job_ids, strict=True)]
    return replace(document, visits=visits)

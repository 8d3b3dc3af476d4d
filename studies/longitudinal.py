"""Changes between the visits of a knee, and slopes over three and more, by the code that compares and follows analyses.

Each is computed once for its analyses, and kept in the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from pipeline.comparison.changes import Change
from pipeline.comparison.compare import compare
from pipeline.comparison.folders import read_knee
from pipeline.comparison.follow_folders import known_of_all
from pipeline.comparison.names import COMPARISON_VERSION, SERIES_VERSION
from pipeline.comparison.reproducibility import known_of
from pipeline.comparison.series import Trend, Visit, follow
from pipeline.comparison.visits import LEAST_VISITS
from pipeline.errors import KneeError, NotComparable
from pipeline.workspace import write_json
from studies.order import VisitKey, name_order
from studies.store import AnalysisFolder, AnalysisRecord

CHANGES: Final = "changes"
SLOPES: Final = "slopes"
"""Folders of the store."""

RESIDUAL: Final = "registration_rms_mm"
CHANGE_COLUMNS: Final = tuple(item.name for item in fields(Change))
SLOPE_COLUMNS: Final = tuple(item.name for item in fields(Trend) if item.name != "values")


@dataclass(frozen=True, kw_only=True)
class Examination:
    """A complete row. years: after the subject's first visit; None: not known."""

    row: int
    subject: str
    visit: str
    years: float | None
    record: AnalysisRecord


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Two visits of one knee, the earlier first.

    consecutive, from_first: whether no visit lies between them, and whether the first is the knee's first
    """

    earlier: Examination
    later: Examination
    consecutive: bool
    from_first: bool


@dataclass(frozen=True, kw_only=True)
class LongitudinalTask:
    """Analyses to compare (two without years), or to follow. store: of the analyses."""

    store: Path
    records: tuple[AnalysisRecord, ...]
    years: tuple[float, ...] = ()

    @property
    def path(self) -> Path:
        """Of its result."""
        digests = [record.address for record in self.records]
        version = SERIES_VERSION if self.years else COMPARISON_VERSION
        parts = [digests, [f"{years:.6f}" for years in self.years], version]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
        return self.store / (SLOPES if self.years else CHANGES) / f"{key}.json"


def knees(examinations: Iterable[Examination]) -> list[list[Examination]]:
    """The examinations of every knee with two and more visits, each in the order of time.

    By years where all have them, else by the names of the visits. Of several examinations of one visit, the first row
    is used.
    """
    groups: dict[tuple[str, str], dict[str, Examination]] = {}
    for item in examinations:
        groups.setdefault((item.subject, item.record.side), {}).setdefault(item.visit, item)
    found = []
    for visits in groups.values():
        listed = list(visits.values())
        timed = all(item.years is not None for item in listed)
        if len(listed) > 1:
            found.append(sorted(listed, key=partial(_time_or_name, timed=timed)))
    return found


def _time_or_name(item: Examination, *, timed: bool) -> tuple[float, VisitKey]:
    return (item.years or 0.0) if timed else 0.0, name_order(item.visit)


def intervals(visits: Sequence[Examination]) -> list[Interval]:
    """From the first visit to every other, and from each to the next."""
    return [
        Interval(earlier=visits[a], later=visits[b], consecutive=b == a + 1, from_first=a == 0)
        for a, b in combinations(range(len(visits)), 2)
        if a == 0 or b == a + 1
    ]


def change_task(store: Path, interval: Interval) -> LongitudinalTask:
    """The comparison of two visits."""
    return LongitudinalTask(store=store, records=(interval.earlier.record, interval.later.record))


def slope_task(store: Path, visits: Sequence[Examination]) -> LongitudinalTask | None:
    """The series of visits; None for fewer than three with a time."""
    timed = [item for item in visits if item.years is not None]
    if len(timed) < LEAST_VISITS:
        return None
    first = min(item.years or 0.0 for item in timed)
    return LongitudinalTask(
        store=store,
        records=tuple(item.record for item in timed),
        years=tuple((item.years or 0.0) - first for item in timed),
    )


def longitudinal_tasks(store: Path, examinations: Iterable[Examination]) -> list[LongitudinalTask]:
    """The comparisons and series of all knees with several visits."""
    found = []
    for visits in knees(examinations):
        found += [change_task(store, interval) for interval in intervals(visits)]
        slopes = slope_task(store, visits)
        if slopes is not None:
            found.append(slopes)
    return found


def measure_change(task: LongitudinalTask) -> None:
    """Compute and keep the result of a task, unless it is kept already. An analysis that is no longer there gives none.

    Called in a process of the run.
    """
    if task.path.is_file():
        return
    try:
        document = _followed(task) if task.years else _compared(task)
    except KneeError as error:
        document = {"rows": [], "warnings": [], "reason": {"code": error.code, "message": str(error)}}
    document["analyses"] = [record.address for record in task.records]
    task.path.parent.mkdir(parents=True, exist_ok=True)
    write_json(task.path, document)


def kept_rows(task: LongitudinalTask) -> list[dict[str, object]]:
    """The rows of the result, with the names of CHANGE_COLUMNS or SLOPE_COLUMNS; empty until it has been computed."""
    try:
        found: list[dict[str, object]] = json.loads(task.path.read_text(encoding="utf-8"))["rows"]
    except FileNotFoundError:
        return []
    return found


def registration_residuals(store: Path, examinations: Iterable[Examination]) -> dict[int, float]:
    """Row -> residual (mm) of the registration of its bones to those of the visit that it fits best.

    Of the bones of a comparison the largest residual counts, of the comparisons of a row the smallest: of three visits,
    one whose bones are wrong fits neither of the others, which fit each other.
    """
    found: dict[int, float] = {}
    for visits in knees(examinations):
        for interval in intervals(visits):
            rows = kept_rows(change_task(store, interval))
            residuals = [value for row in rows if isinstance(value := row[RESIDUAL], float)]
            for item in (interval.earlier, interval.later) if residuals else ():
                found[item.row] = min(max(residuals), found.get(item.row, max(residuals)))
    return found


def _folders(task: LongitudinalTask) -> list[Path]:
    return [AnalysisFolder(task.store, record.address).path for record in task.records]


def _compared(task: LongitudinalTask) -> dict[str, object]:
    first, second = map(read_knee, _folders(task))
    comparison = compare(first, second, known_of(first, second))
    return _document((asdict(change) for change in comparison.changes), comparison.warnings)


def _followed(task: LongitudinalTask) -> dict[str, object]:
    visits = [
        Visit(knee=read_knee(folder), years=years) for folder, years in zip(_folders(task), task.years, strict=True)
    ]
    if len({address.address for address in task.records}) < len(task.records):
        raise NotComparable("Two visits have the same scan.", hint="Correct the manifest.")
    series = follow(visits, known_of_all(visits))
    rows = (asdict(trend) for trend in series.trends)
    return _document(({name: row[name] for name in SLOPE_COLUMNS} for row in rows), series.warnings)


def _document(rows: Iterable[dict[str, Any]], warnings: Sequence[str]) -> dict[str, object]:
    return {"rows": list(rows), "warnings": list(warnings), "reason": None}

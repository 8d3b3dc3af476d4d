"""The small tables: rows, failures, the wide one in the OAI's names, changes and slopes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.oai_variables import OAI_VARIABLES
from pipeline.report.tables import format_value
from pipeline.results_tree import OAI_TABLE
from studies.longitudinal import (
    CHANGE_COLUMNS,
    SLOPE_COLUMNS,
    Examination,
    change_task,
    intervals,
    kept_rows,
    knees,
    slope_task,
)
from studies.row_state import RowState
from studies.tables.rows import KEY_COLUMNS, StudyRow, StudyState

ROWS_CSV: Final = "rows.csv"
FAILURES_CSV: Final = "failures.csv"
OAI_CSV: Final = OAI_TABLE.path
CHANGES_CSV: Final = "changes.csv"
SLOPES_CSV: Final = "slopes.csv"

ROW_COLUMNS: Final = (
    *KEY_COLUMNS,
    "sex",
    "age",
    "state",
    "code",
    "flags",
    "warnings",
    "model",
    "program",
    "version",
    "analysis",
    "review",
)
FAILURE_COLUMNS: Final = ("row", "subject", "visit", "side", "path", "state", "code", "message", "remedy", "step")
_KNEE: Final = ("subject", "side")
CHANGES_COLUMNS: Final = (
    *(*_KNEE, "from_visit", "to_visit", "from_row", "to_row", "years"),
    *("consecutive", "from_first"),
    *CHANGE_COLUMNS,
)
SLOPES_COLUMNS: Final = (*_KNEE, "visits", "years", *SLOPE_COLUMNS)
FURTHER: Final = "manifest_"
"""Prefix of a further column of the manifest that has the name of one of ours."""


def rows_csv(state: StudyState) -> str:
    """Every row of the manifest with what became of it, and its further columns."""
    further = [f"{FURTHER}{name}" if name in ROW_COLUMNS else name for name in state.check.further]
    return csv_text((*ROW_COLUMNS, *further), (_row(state, row) for row in state.rows))


def _row(state: StudyState, row: StudyRow) -> list[object]:
    person, record = row.checked.row.person, row.record
    code = row.failure.code if row.failure is not None else _first_code(state, row)
    known = ("", "", "", "", "", "")
    if record is not None:
        flags, warnings = " ".join(record.flags), " | ".join(record.warnings)
        known = (flags, warnings, record.model_id, record.program, str(record.version), record.address)
    age = "" if person.age is None else f"{person.age:g}"
    further = [row.checked.row.further.get(name, "") for name in state.check.further]
    return [*row.key, person.sex, age, row.state.value, code, *known, row.review, *further]


def _first_code(state: StudyState, row: StudyRow) -> str:
    decisive = state.check.decisive(row.checked)
    return decisive[0].code if decisive else ""


def failures_csv(state: StudyState) -> str:
    """The rows without results that are not waiting, each with every reason."""
    return csv_text(FAILURE_COLUMNS, (line for row in state.rows for line in _failures(state, row)))


def _failures(state: StudyState, row: StudyRow) -> Iterable[list[object]]:
    number, subject, visit, side, _ = row.key
    known = [number, subject, visit, side, row.checked.row.given, row.state.value]
    if row.state is RowState.LEFT_OUT:
        for item in state.check.decisive(row.checked):
            yield [*known, item.code, item.message, item.remedy, ""]
    elif row.failure is not None:
        yield [*known, row.failure.code, row.failure.message, row.failure.hint, row.failure.step]


def oai_csv(state: StudyState) -> str:
    """One line for each knee, in the names of the OAI, with what the manifest says of it."""
    head = (*KEY_COLUMNS, "sex", "age")
    names = ("SIDE", *OAI_VARIABLES.values())
    further = [f"{FURTHER}{name}" if name in (*head, *names) else name for name in state.check.further]
    return csv_text((*head, *further, *names), (_oai(state, row) for row, _ in state.complete))


def _oai(state: StudyState, row: StudyRow) -> list[object]:
    assert row.record is not None  # noqa: S101 -- it is complete
    text = OAI_TABLE.at(state.folder(row.record)).read_text(encoding="utf-8")
    (values,) = csv.DictReader(io.StringIO(text))
    person = row.checked.row.person
    age = "" if person.age is None else f"{person.age:g}"
    further = [row.checked.row.further.get(name, "") for name in state.check.further]
    return [*row.key, person.sex, age, *further, *(values.get(name, "") for name in ("SIDE", *OAI_VARIABLES.values()))]


def changes_csv(state: StudyState) -> str:
    """The changes of every knee from its first visit, and from each to the next, as far as they were computed."""
    return csv_text(CHANGES_COLUMNS, (line for visits in knees(state.examinations) for line in _changes(state, visits)))


def _changes(state: StudyState, visits: Sequence[Examination]) -> Iterable[list[object]]:
    for interval in intervals(visits):
        earlier, later = interval.earlier, interval.later
        between = None if earlier.years is None or later.years is None else later.years - earlier.years
        known = [
            *(earlier.subject, earlier.record.side, earlier.visit, later.visit, earlier.row, later.row),
            *("" if between is None else f"{between:.4f}", _yes(interval.consecutive), _yes(interval.from_first)),
        ]
        for row in kept_rows(change_task(state.store, interval)):
            yield [*known, *(_cell(row[name]) for name in CHANGE_COLUMNS)]


def slopes_csv(state: StudyState) -> str:
    """The slope of every figure of the knees with three and more visits that have a time."""
    return csv_text(SLOPES_COLUMNS, (line for visits in knees(state.examinations) for line in _slopes(state, visits)))


def _slopes(state: StudyState, visits: Sequence[Examination]) -> Iterable[list[object]]:
    task = slope_task(state.store, visits)
    if task is None:
        return
    known = [visits[0].subject, visits[0].record.side, len(task.years), f"{max(task.years):.4f}"]
    for row in kept_rows(task):
        yield [*known, *(_cell(row[name]) for name in SLOPE_COLUMNS)]


def _cell(value: object) -> object:
    if value is None:
        return ""
    return format_value(value) if isinstance(value, float) else value


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def csv_text(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """RFC 4180 text with LF line ends."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return stream.getvalue()

"""What a study has to do, from its check: two files, written once for each revision of its manifest.

check.json has the judged rows, for the tables and for people; plan.json what the queue needs of them, which is small.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from jobs.studies.journal import Outcome
from pipeline.options import AnalysisOptions
from pipeline.workspace import atomic_file, write_json
from studies.check import Check, options_of_row
from studies.order import by_subject
from studies.row_state import RowState
from studies.rules import CheckedRow

CHECK: Final = "check.json"
PLAN: Final = "plan.json"
SCANS: Final = "scans"
"""Folder of uploaded scans, in that of the study."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """rows: number of a row that can be analysed -> fingerprint of its task, in the order of the manifest.

    subjects  first of them of each subject with several -> all of them
    total     number of rows in the manifest
    """

    revision: int
    total: int
    rows: dict[int, str]
    subjects: dict[int, tuple[int, ...]]

    def state_of(self, row: int, outcomes: Mapping[int, Outcome]) -> tuple[RowState, Outcome | None]:
        """Of a row, with its end where it has one."""
        if row not in self.rows:
            return RowState.LEFT_OUT, None
        outcome = outcomes.get(row)
        if outcome is None or outcome.task != self.rows[row]:
            return RowState.WAITING, None
        return RowState.COMPLETE if outcome.failure is None else RowState.FAILED, outcome

    def ended(self, outcomes: Mapping[int, Outcome]) -> dict[int, Outcome]:
        """Row -> how it has ended, of those that can be analysed."""
        found = ((row, task, outcomes.get(row)) for row, task in self.rows.items())
        return {row: outcome for row, task, outcome in found if outcome is not None and outcome.task == task}


def write_check(folder: Path, check: Check, options: AnalysisOptions, revision: int) -> None:
    """Write both files, the plan last. Raises OSError."""
    with atomic_file(folder / CHECK) as stream:
        stream.write(_adapter().dump_json(check))
    ready = {row.row.number: task_fingerprint(row, options, folder / SCANS) for row in check.ready}
    rows_of = by_subject(item.row for item in check.rows)
    subjects = [[row.number for row in rows if row.number in ready] for rows in rows_of.values()]
    write_json(
        folder / PLAN,
        {
            "revision": revision,
            "total": len(check.rows),
            "rows": ready,
            "subjects": {str(numbers[0]): numbers for numbers in subjects if len(numbers) > 1},
        },
    )


def read_check(folder: Path) -> Check | None:
    """None if there is none that this version can read."""
    try:
        check: Check = _adapter().validate_json((folder / CHECK).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return check


def read_plan(folder: Path) -> Plan | None:
    """None if there is none."""
    try:
        data: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        return Plan(
            revision=int(data["revision"]),
            total=int(data["total"]),
            rows={int(number): str(task) for number, task in data["rows"].items()},
            subjects={int(first): tuple(numbers) for first, numbers in data["subjects"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError):
        return None


def moved(folder: Path, scans: Path) -> None:
    """After the folder of a study was copied to another data directory: its rows name the uploaded scans there.

    folder: where the files are now; scans: where the uploaded ones will be. Raises OSError.
    """
    check = read_check(folder)
    if check is None:
        return
    tail = scans.parts[-3:]  # studies, id, scans

    def place(path: Path | None) -> Path | None:
        parts = () if path is None else path.parts
        for start in range(len(parts) - len(tail), -1, -1):
            if parts[start : start + len(tail)] == tail:
                return scans.joinpath(*parts[start + len(tail) :])
        return path

    rows = tuple(
        replace(item, row=replace(item.row, scan=place(item.row.scan), labels=place(item.row.labels)))
        for item in check.rows
    )
    with atomic_file(folder / CHECK) as stream:
        stream.write(_adapter().dump_json(replace(check, rows=rows)))


def task_fingerprint(row: CheckedRow, options: AnalysisOptions, scans: Path) -> str:
    """Of what decides the analysis of a row, besides the content of its files.

    scans: the folder of uploaded ones, which may be restored at another place
    """
    paths = [
        None if path is None else str(path.relative_to(scans) if path.is_relative_to(scans) else path)
        for path in (row.row.scan, row.row.labels)
    ]
    parts = [*paths, options_of_row(row.row, options).to_dict()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


@cache
def _adapter() -> TypeAdapter[Check]:
    return TypeAdapter(Check)

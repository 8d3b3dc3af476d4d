"""How far a study is, and its rows, for pages and routes. The cost for 10,000 rows is some hundredths of a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from jobs.errors import ResultNotFound, StudyConflict
from jobs.state.backend import Backend, open_backend
from jobs.state.queue import queue_errors
from jobs.studies.entries import Kind, Part
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import Outcome
from jobs.studies.plan import Plan
from jobs.studies.record import Phase, StudyRecord
from pipeline.progress import StepState
from studies.check import Check
from studies.findings import KINDS, Finding, Severity
from studies.row_state import RowState
from studies.rules import CheckedRow
from studies.store import AnalysisFolder

LATEST: Final = 40
"""Ends of rows from which the rate is taken."""

RUNNING: Final = StepState.RUNNING.value
"""State of a row that a worker analyses, besides those of RowState."""

MOST_ROWS_OF_A_PAGE: Final = 500


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """A study as pages and routes show it.

    rows, ready, left_out  of the manifest; those that can be analysed, and the others
    complete, failed, running, waiting  of the ready ones
    rows_per_hour          at present; 0: not known
    remaining_seconds      None: not known, or not running
    failures, reasons      code -> number of failed rows; of rows that are left out, by their gravest finding
    doubts                 codes that can be accepted -> number of rows with them
    tables                 whether tables can be downloaded
    problem                code, message and hint of what stopped it
    """

    id: str
    name: str
    phase: Phase
    created_at: datetime
    expires_at: datetime | None = None
    folder: str = ""
    options: dict[str, object] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    compact: bool = False
    rows: int = 0
    ready: int = 0
    left_out: int = 0
    complete: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    rows_per_hour: float = 0.0
    remaining_seconds: int | None = None
    failures: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    doubts: dict[str, int] = field(default_factory=dict)
    tables: bool = False
    problem: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RowView:
    """One row. state: of RowState, or running; findings: of the check; analysis: address in the store; version: of its
    outlines.
    """

    row: int
    subject: str
    visit: str
    side: str
    path: str
    state: str
    code: str = ""
    message: str = ""
    remedy: str = ""
    flags: tuple[str, ...] = ()
    analysis: str = ""
    version: int = 1
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RowsPage:
    """total: number of rows that the page was taken from."""

    total: int
    rows: tuple[RowView, ...]


def study_view(backend: Backend, folder: StudyFolder, record: StudyRecord) -> StudyView:
    """Raises redis.RedisError, OSError."""
    known = {
        name: getattr(record, name)
        for name in (
            "id",
            "name",
            "phase",
            "created_at",
            "expires_at",
            "folder",
            "options",
            "accepted",
            "compact",
            "problem",
        )
    }
    plan = folder.plan()
    if plan is None:
        return StudyView(**known)
    outcomes = folder.journal.read().outcomes
    ended = list(plan.ended(outcomes).values())
    failures = Counter(outcome.failure.code for outcome in ended if outcome.failure is not None)
    failed = sum(failures.values())
    running = len(_running(backend, record.id) - {outcome.row for outcome in ended})
    waiting = len(plan.rows) - len(ended) - running
    pace = _seconds_a_row(ended) if record.phase is Phase.RUNNING else 0.0
    reasons, doubts = _reasons(folder.check())
    return StudyView(
        **known,
        rows=plan.total,
        ready=len(plan.rows),
        left_out=plan.total - len(plan.rows),
        complete=len(ended) - failed,
        failed=failed,
        running=running,
        waiting=max(0, waiting),
        rows_per_hour=round(3600 / pace, 1) if pace else 0.0,
        remaining_seconds=round(pace * (waiting + running)) if pace else None,
        failures=dict(failures.most_common()),
        reasons=reasons,
        doubts=doubts,
        tables=folder.written.exists(),
    )


@dataclass(frozen=True, kw_only=True)
class FoundInRow:
    """A finding of the check with the subject of its row."""

    row: int
    subject: str
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Some findings, the gravest first; total: number of all."""

    total: int
    findings: tuple[FoundInRow, ...]


@queue_errors()
def findings(study_id: str, limit: int) -> Findings:
    """What the check found. Raises StudyNotFound, StudyConflict before the check has ended."""
    _, check, _ = judged(open_backend(), study_id)
    gravity = tuple(Severity)
    found = sorted(check.findings, key=lambda item: gravity.index(item[1].severity))
    some = (
        FoundInRow(row=row.row.number, subject=row.row.person.subject, finding=finding)
        for row, finding in found[:limit]
    )
    return Findings(total=len(found), findings=tuple(some))


@queue_errors()
def rows(study_id: str, *, offset: int = 0, limit: int = 100, state: str = "", text: str = "") -> RowsPage:
    """Some rows, in the order of the manifest. state: only those; text: only rows whose subject or path contains it."""
    backend = open_backend()
    folder, check, plan = judged(backend, study_id)
    outcomes = folder.journal.read().outcomes
    running = _running(backend, study_id)

    def state_of(row: CheckedRow) -> str:
        number = row.row.number
        found, _ = plan.state_of(number, outcomes)
        return RUNNING if found is RowState.WAITING and number in running else found.value

    chosen = [
        row
        for row in check.rows
        if (not state or state_of(row) == state)
        and (not text or text.lower() in f"{row.row.person.subject} {row.row.given}".lower())
    ]
    some = islice(chosen, offset, offset + min(limit, MOST_ROWS_OF_A_PAGE))
    return RowsPage(
        total=len(chosen), rows=tuple(_row_view(folder, check, row, state_of(row), outcomes) for row in some)
    )


def judged(backend: Backend, study_id: str) -> tuple[StudyFolder, Check, Plan]:
    """The folder of a study with its judged rows. Raises StudyNotFound; StudyConflict before the check has ended."""
    folder = StudyFolder(backend.settings.data_dir, study_id)
    folder.record()
    check, plan = folder.check(), folder.plan()
    if check is None or plan is None:
        raise StudyConflict("The rows are still being checked.", hint="Ask again when the check has ended.")
    return folder, check, plan


def complete_row(backend: Backend, study_id: str, row: int) -> tuple[StudyFolder, CheckedRow, Outcome]:
    """A row with results. Raises ResultNotFound, and as `judged` does."""
    folder, check, plan = judged(backend, study_id)
    state, outcome = plan.state_of(row, folder.journal.read().outcomes)
    if outcome is None or state is not RowState.COMPLETE:
        raise ResultNotFound("The study has no results of this row.", hint="Ask for the rows of the study.")
    (checked,) = (item for item in check.rows if item.row.number == row)
    return folder, checked, outcome


def _row_view(folder: StudyFolder, check: Check, row: CheckedRow, state: str, outcomes: dict[int, Outcome]) -> RowView:
    person = row.row.person
    decisive = check.decisive(row)
    code = message = remedy = ""
    if decisive:
        code, message, remedy = decisive[0].code, decisive[0].message, decisive[0].remedy
    outcome = outcomes.get(row.row.number)
    side, analysis, seconds, version = str(row.stated_side or ""), "", 0.0, 1
    flags: tuple[str, ...] = ()
    if outcome is not None and state in (RowState.COMPLETE, RowState.FAILED):
        seconds = outcome.seconds
        if outcome.failure is not None:
            code, message, remedy = outcome.failure.code, outcome.failure.message, outcome.failure.hint
        elif (record := AnalysisFolder(folder.store, outcome.address).record()) is not None:
            side, flags, analysis, version = record.side, record.flags, record.address, record.version
    return RowView(
        row=row.row.number,
        subject=person.subject,
        visit=person.visit,
        side=side,
        path=row.row.given,
        state=state,
        code=code,
        message=message,
        remedy=remedy,
        flags=flags,
        analysis=analysis,
        version=version,
        seconds=seconds,
        findings=row.findings,
    )


def _running(backend: Backend, study_id: str) -> set[int]:
    """The rows that workers analyse now."""
    found = set()
    for name in backend.studies.in_work():
        if name.startswith(study_id):
            part = Part.of(name)
            if part.kind is Kind.ROW:
                found.add(part.number)
    return found


def _seconds_a_row(ended: Sequence[Outcome]) -> float:
    """Time between the ends of the latest rows; 0 if it is not known."""
    latest = sorted(outcome.at for outcome in ended)[-LATEST:]
    if len(latest) < 2:
        return ended[0].seconds if ended else 0.0
    return (latest[-1] - latest[0]).total_seconds() / (len(latest) - 1)


def _reasons(check: Check | None) -> tuple[dict[str, int], dict[str, int]]:
    if check is None:
        return {}, {}
    reasons: Counter[str] = Counter()
    doubts: Counter[str] = Counter()
    for row in check.rows:
        if row.findings:
            decisive = check.decisive(row)
            reasons.update(item.code for item in decisive[:1])
            doubts.update({item.code for item in decisive if item.severity is Severity.DOUBT and item.code in KINDS})
    return dict(reasons.most_common()), dict(doubts.most_common())

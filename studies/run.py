"""Runs a study: every row through the same analysis, in several processes, with tables that grow.

What is done is in the store, row by row, so that the same call continues a run that was stopped in any way. Whoever
else works on rows of the same store (another run, another machine, a worker of a queue) calls `analyse` as well.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipeline.errors import OutOfMemory
from pipeline.options import AnalysisOptions
from pipeline.types import Resources
from pipeline.workspace import write_json
from studies.analysis import AnalysisTask, Outcome, State, analyse, known_outcome, write_lost
from studies.check import Check, options_of_row
from studies.longitudinal import LongitudinalTask, longitudinal_tasks, measure_change
from studies.processes import Call, Processes, ProcessLost, cores, memory_bytes
from studies.row_state import RowState
from studies.rules import CheckedRow
from studies.store import AnalysisFolder, AnalysisRecord, FailureRecord
from studies.tables.rows import StudyRow, StudyState
from studies.tables.write import write_tables

STORE: Final = "analyses"
DIGESTS: Final = "digests.json"
"""In the folder of the study: the store, unless another is given, and the digests of inputs that were read."""

PROCESS_BYTES: Final = 3 << 30
"""Of memory, for one analysis at a time."""

TABLES_EVERY_S: Final = 60.0
TABLES_SHARE: Final = 0.05
"""While it runs: tables are written at most so often, and for at most this share of the time."""

ELSEWHERE_S: Final = 2.0
"""After which a row that another run computes is looked at again."""

ATTEMPTS: Final = 2
"""Of a row whose process is killed."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a study is run.

    out        folder of the tables; store: of the analyses, may be shared by studies
    processes  analyses at once
    retry      compute again what has failed before; compact: keep only what tables need
    """

    options: AnalysisOptions
    resources: Resources
    out: Path
    store: Path
    processes: int
    retry: bool = False
    compact: bool = False


@dataclass(kw_only=True)
class Progress:
    """Numbers of rows, for a bar. computed: in this run."""

    total: int
    computed: int = 0
    kept: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        return self.computed + self.kept + self.failed


OnProgress = Callable[[Progress], None]


def processes_for(resources: Resources) -> int:
    """The number that cores and memory allow; one with a graphics card, which they would share."""
    if resources.device == "cuda":
        return 1
    return max(1, min(cores(), memory_bytes() // PROCESS_BYTES))


def run_study(check: Check, settings: RunSettings, on_progress: OnProgress = lambda _: None) -> StudyState:
    """Analyse every row that can be, write the tables, and return what became of the rows.

    The tables are also written when it is interrupted. Raises ModelError for a fault of the machine or the model, which
    ends the run and no row; OSError.
    """
    run = _Run(check, settings, on_progress)
    try:
        run.analyse_rows()
        run.compare_visits()
    finally:
        run.close()
        run.write_tables()
    return run.state()


def task_of(row: CheckedRow, settings: RunSettings) -> AnalysisTask:
    """What a process needs to know to analyse a row that can be. Raises OptionsError."""
    return AnalysisTask(
        row=row.row.number,
        scan=row.row.scan,
        labels=row.row.labels,
        options=options_of_row(row.row, settings.options).to_dict(),
        resources=settings.resources,
        store=settings.store,
        retry=settings.retry,
        compact=settings.compact,
    )


@dataclass(kw_only=True)
class _Row:
    """A row in progress. attempts: whose process was lost."""

    checked: CheckedRow
    task: AnalysisTask | None
    attempts: int = 0
    address: str = ""
    record: AnalysisRecord | None = None
    failure: FailureRecord | None = None

    @property
    def required_task(self) -> AnalysisTask:
        """Of a row that is not left out."""
        assert self.task is not None  # noqa: S101 -- rows without one are never submitted
        return self.task


@dataclass(kw_only=True)
class _Tables:
    """When the tables were written last, and how long that took."""

    written_at: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def due(self) -> bool:
        pause = max(TABLES_EVERY_S, self.seconds / TABLES_SHARE)
        return time.monotonic() - self.written_at > pause


class _Run:
    def __init__(self, check: Check, settings: RunSettings, on_progress: OnProgress) -> None:
        self._check = check
        self._settings = settings
        self._on_progress = on_progress
        self._digests = _read_digests(settings.out / DIGESTS)
        ready = {row.row.number for row in check.ready}
        self._rows = {
            row.row.number: _Row(checked=row, task=self._task(row) if row.row.number in ready else None)
            for row in check.rows
        }
        self._progress = Progress(total=len(ready))
        self._processes = Processes(settings.processes)
        self._tables = _Tables()
        settings.store.mkdir(parents=True, exist_ok=True)
        settings.out.mkdir(parents=True, exist_ok=True)

    def analyse_rows(self) -> None:
        """Until every row has ended, here or in another run."""
        waiting: deque[_Row] = deque()
        for row in self._rows.values():
            known = None if row.task is None else known_outcome(row.task)
            if known is not None:
                self._note(row, known)
            elif row.task is not None:
                waiting.append(row)
        running: dict[Future[Outcome], _Row] = {}
        self._on_progress(self._progress)
        while waiting or running:
            while waiting and len(running) < self._settings.processes:
                row = waiting.popleft()
                running[self._processes.submit(Call(analyse, row.required_task))] = row
            elsewhere = []
            for future in self._ended(running):
                row = running.pop(future)
                again = self._take(row, future)
                if again is State.ELSEWHERE:
                    elsewhere.append(row)
                elif again is not None:
                    waiting.appendleft(row)
            waiting.extend(elsewhere)
            if elsewhere and len(waiting) == len(elsewhere) and not running:
                time.sleep(ELSEWHERE_S)
            if self._tables.due:
                self.write_tables()

    def compare_visits(self) -> None:
        """Changes and slopes of all knees with several visits."""
        running: dict[Future[None], LongitudinalTask] = {}
        for task in longitudinal_tasks(self._settings.store, self.state().examinations):
            if not task.path.is_file():
                running[self._processes.submit(Call(measure_change, task))] = task
        while running:
            for future in self._ended(running):
                running.pop(future)
                try:
                    future.result()
                except ProcessLost as error:
                    raise _lost(error) from error

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def write_tables(self) -> None:
        """All of them, from what is known now."""
        started = time.monotonic()
        write_json(self._settings.out / DIGESTS, self._digests)
        write_tables(self.state(), self._settings.out)
        self._tables = _Tables(seconds=time.monotonic() - started)

    def state(self) -> StudyState:
        """Of all rows, in the order of the manifest."""
        return StudyState(
            check=self._check,
            store=self._settings.store,
            options=self._settings.options.to_dict(),
            rows=tuple(_study_row(row) for row in self._rows.values()),
        )

    def _task(self, row: CheckedRow) -> AnalysisTask:
        task = task_of(row, self._settings)
        paths = [path for path in (row.row.scan, row.row.labels) if path is not None]
        return replace(
            task, digests={str(path): self._digests[str(path)] for path in paths if str(path) in self._digests}
        )

    def _ended(self, running: dict[Future[Any], Any]) -> Iterable[Future[Any]]:
        """Those that have ended, after waiting for one; returns regularly, for signals and tables."""
        return wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done

    def _take(self, row: _Row, future: Future[Outcome]) -> State | None:
        """Note what became of a row. Returns a state if it has to be run again. Raises what ends the run."""
        try:
            outcome = future.result()
        except (ProcessLost, OutOfMemory) as error:
            row.attempts += 1
            if row.attempts < ATTEMPTS:
                return State.FAILED
            outcome = self._failed(row, error)
        if outcome.state is State.ELSEWHERE:
            return State.ELSEWHERE
        self._note(row, outcome)
        return None

    def _note(self, row: _Row, outcome: Outcome) -> None:
        self._digests |= outcome.digests
        row.address, row.failure = outcome.address, outcome.failure
        if outcome.state is State.FAILED:
            self._progress.failed += 1
        else:
            row.record = AnalysisFolder(self._settings.store, outcome.address).record()
            computed = outcome.state is State.COMPUTED
            self._progress.computed += computed
            self._progress.kept += not computed
        self._on_progress(self._progress)

    def _failed(self, row: _Row, error: ProcessLost | OutOfMemory) -> Outcome:
        if isinstance(error, ProcessLost):
            error = _lost(error)
        failure = FailureRecord.of(error)
        address = write_lost(row.required_task, failure)
        return Outcome(row=row.required_task.row, address=address, state=State.FAILED, failure=failure)


def _lost(error: ProcessLost) -> OutOfMemory:
    return OutOfMemory(
        f"The process of the analysis was ended from outside (status {error.status}), probably for memory.",
        hint="Repeat the run with --retry-failed and fewer --processes.",
    )


def _study_row(row: _Row) -> StudyRow:
    if row.task is None:
        state = RowState.LEFT_OUT
    elif row.record is not None:
        state = RowState.COMPLETE
    else:
        state = RowState.WAITING if row.failure is None else RowState.FAILED
    return StudyRow(checked=row.checked, state=state, record=row.record, failure=row.failure)


def _read_digests(path: Path) -> dict[str, tuple[str, str]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): (str(stamp), str(digest)) for name, (stamp, digest) in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}

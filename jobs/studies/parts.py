"""What a worker does for each part of a study. Each function can be repeated, and may run twice at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jobs.errors import QueueUnavailable
from jobs.state.backend import Backend
from jobs.state.clock import now
from jobs.state.queue import queue_errors
from jobs.state.study_queue import MOST_LOST
from jobs.studies.allowed import allowed_folder, confined, is_allowed, roots_of
from jobs.studies.entries import Part
from jobs.studies.feeding import newest_version, pending, subject_fingerprint
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import End, Outcome
from jobs.studies.map_requests import analyses_of, note_maps, request_of
from jobs.studies.plan import Plan, write_check
from jobs.studies.record import Phase, StudyChanges, StudyRecord
from jobs.studies.state import examinations_of, run_settings, study_state
from pipeline.errors import CorrectionMissing, KneeError
from pipeline.options import AnalysisOptions
from pipeline.workspace import write_json
from studies.analysis import AnalysisTask, State, analyse, write_lost
from studies.check import check_manifest
from studies.corrected import keep_version
from studies.longitudinal import longitudinal_tasks, measure_change
from studies.manifest import read_manifest
from studies.run import task_of
from studies.store import AnalysisFolder, FailureRecord
from studies.tables.write import write_tables

log = logging.getLogger(__name__)


def check_rows(backend: Backend, part: Part) -> None:
    """The dry run. Raises OSError."""
    folder = StudyFolder(backend.settings.data_dir, part.study)
    record = folder.record()
    if record.phase is not Phase.CHECKING or record.revision != part.number:
        return
    options = AnalysisOptions.from_dict(record.options)
    changes: StudyChanges = {"phase": Phase.RUNNING if record.run else Phase.CHECKED, "problem": {}}
    check = None
    try:
        base = allowed_folder(backend.settings, record.folder) if record.folder else folder.scans
        manifest = confined(read_manifest(folder.manifest, base), roots_of(backend.settings, record, folder.scans))
        check = check_manifest(manifest, options, backend.settings.resources, accepted=frozenset(record.accepted))
    except KneeError as error:
        facts = {"code": error.code, "message": error.message, "hint": error.hint}
        changes = {"phase": Phase.INVALID, "problem": facts}
    with folder.locked():
        now_stored = folder.record()
        if now_stored.phase is Phase.CHECKING and now_stored.revision == part.number:
            if check is not None:
                check = replace(check, accepted=frozenset(now_stored.accepted))
                write_check(folder.path, check, options, part.number)
            folder.write(replace(now_stored, **changes))


def analyse_row(backend: Backend, part: Part, interruptions: int, passing: tuple[type[Exception], ...]) -> bool:
    """Analyse one row, and note its end; False if another process works on the same analysis.

    Raises OutOfMemory, OSError, and what `analyse` lets pass.
    """
    folder = StudyFolder(backend.settings.data_dir, part.study)
    found = _task(backend, folder, part.number)
    if found is None:
        return True
    task, fingerprint = found
    started = time.monotonic()
    if interruptions > MOST_LOST:
        end = _abandoned(task, part.number, fingerprint)
    else:
        outcome = analyse(task, passing=passing)
        if outcome.state is State.ELSEWHERE:
            return False
        end = Outcome(
            row=part.number,
            task=fingerprint,
            end=End.FAILED if outcome.state is State.FAILED else End.COMPLETE,
            address=outcome.address,
            failure=outcome.failure,
            seconds=time.monotonic() - started,
            computed=outcome.state is State.COMPUTED,
        )
    with contextlib.suppress(FileNotFoundError):  # the study was deleted meanwhile
        folder.journal.write([end])
    return True


def take_version(backend: Backend, part: Part) -> bool:
    """Let a row follow the newest version of its analysis; False if another process does. Raises OSError."""
    folder = StudyFolder(backend.settings.data_dir, part.study)
    record, plan, edited = folder.record(), folder.plan(), folder.editing().get(part.number)
    if plan is None or edited is None:
        return True
    outcomes = folder.journal.read().outcomes
    newest = newest_version(backend, plan, edited, part.number, outcomes)
    if newest is None:
        return True
    outcome = outcomes[part.number]
    before = AnalysisFolder(folder.store, outcome.address)
    workspace = backend.storage.workspace(newest.id, newest.attempt)
    try:
        address = keep_version(workspace, before, newest.version, compact=record.compact)
    except (FileNotFoundError, CorrectionMissing):  # it has just been deleted
        return False
    if address is None:
        return False
    took = replace(outcome, address=address, version=newest.version, job=edited.job, computed=True, at=now())
    folder.journal.write([took])
    return True


def note_failure(backend: Backend, part: Part, failure: FailureRecord) -> None:
    """End a row that could not be analysed for a reason outside of the analysis. Raises OSError."""
    folder = StudyFolder(backend.settings.data_dir, part.study)
    found = _task(backend, folder, part.number)
    if found is not None:
        task, fingerprint = found
        address = write_lost(task, failure)
        end = Outcome(row=part.number, task=fingerprint, end=End.FAILED, address=address, failure=failure)
        folder.journal.write([end])


def compare_subject(backend: Backend, part: Part) -> None:
    """Changes and slopes of the visits of a subject. Raises OSError."""
    folder = StudyFolder(backend.settings.data_dir, part.study)
    plan, check = folder.plan(), folder.check()
    if plan is None or check is None or part.number not in plan.subjects:
        return
    rows = plan.subjects[part.number]
    entries = folder.journal.read()
    if not all(_ended(plan, entries.outcomes, row) for row in rows):
        return
    wanted = [row for row in check.rows if row.row.number in rows]
    for task in longitudinal_tasks(folder.store, examinations_of(folder, wanted, entries)):
        measure_change(task)
    folder.journal.write_compared(part.number, subject_fingerprint(rows, entries.outcomes))


def write_study_tables(backend: Backend, part: Part) -> None:
    """Write the tables from what has ended; the study is complete if nothing is left to do. Raises OSError."""
    folder = StudyFolder(backend.settings.data_dir, part.study)
    with _alone(folder) as alone:
        check, plan, record = folder.check(), folder.plan(), folder.record()
        if not alone or check is None or plan is None:
            return
        started = time.time()
        entries, reviews = folder.journal.read(), folder.reviews_size
        state, gone = study_state(folder, record, check, plan, entries)
        if gone:  # an analysis was deleted from the store: it is computed again
            folder.journal.write(replace(entries.outcomes[row], end=End.CLEARED) for row in gone)
            folder.change(lambda current: {"phase": Phase.RUNNING} if current.phase is Phase.COMPLETE else None)
            return
        write_tables(state, folder.tables)
        seconds = time.time() - started
        write_json(
            folder.written,
            {
                "size": entries.size,
                "reviews": reviews,
                "revision": record.revision,
                "at": time.time(),
                "seconds": seconds,
            },
        )
        if not any(pending(folder, record)):
            folder.change(lambda current: {"phase": Phase.COMPLETE} if _unchanged(current, record) else None)


def make_maps(backend: Backend, part: Part) -> None:
    """Mean maps of the groups of a request. Raises OSError."""
    from studies.maps.groups import group_of  # loads libraries that other parts do not need
    from studies.maps.results import write_maps

    folder = StudyFolder(backend.settings.data_dir, part.study)
    record, check, plan = folder.record(), folder.check(), folder.plan()
    request = request_of(folder, part.number)
    if request is None or check is None or plan is None:
        return
    state, _ = study_state(folder, record, check, plan, folder.journal.read())
    groups = [group_of(state, request, value) for value in request.groups]
    write_maps(request, groups, folder.maps / str(part.number))
    note_maps(folder, part.number, groups, analyses_of(plan, folder.journal.read().outcomes))


def _unchanged(current: StudyRecord, record: StudyRecord) -> bool:
    return current.phase is Phase.RUNNING and current.revision == record.revision


def _ended(plan: Plan, outcomes: dict[int, Outcome], row: int) -> bool:
    return row in outcomes and outcomes[row].task == plan.rows.get(row)


def _task(backend: Backend, folder: StudyFolder, number: int) -> tuple[AnalysisTask, str] | None:
    """The task of a row and its fingerprint; None if it is not to be analysed now."""
    record, plan, check = folder.record(), folder.plan(), folder.check()
    if record.phase is not Phase.RUNNING or plan is None or check is None or number not in plan.rows:
        return None
    if _ended(plan, folder.journal.read().outcomes, number):
        return None
    (row,) = (item for item in check.rows if item.row.number == number)
    roots = roots_of(backend.settings, record, folder.scans)
    given = [path for path in (row.row.scan, row.row.labels) if path is not None]
    folder.store.mkdir(parents=True, exist_ok=True)
    task = task_of(row, run_settings(backend.settings, folder, record))
    if not all(is_allowed(path, roots) for path in given):  # it was replaced since the check
        task = replace(task, scan=folder.path / "not_allowed", labels=None)
    return task, plan.rows[number]


def files_of_row(backend: Backend, part: Part) -> tuple[Path, ...]:
    """Files or folders that the analysis of a row reads; none if it is not to be analysed now. Raises OSError."""
    found = _task(backend, StudyFolder(backend.settings.data_dir, part.study), part.number)
    return () if found is None else tuple(path for path in (found[0].scan, found[0].labels) if path is not None)


def _abandoned(task: AnalysisTask, row: int, fingerprint: str) -> Outcome:
    failure = FailureRecord(
        code="WORKER_LOST",
        message="The process of the analysis was ended from outside several times.",
        hint="Look for a lack of memory on the machines of the workers, then retry what has failed.",
    )
    address = write_lost(task, failure)
    return Outcome(row=row, task=fingerprint, end=End.FAILED, address=address, failure=failure)


@contextlib.contextmanager
def _alone(folder: StudyFolder) -> Iterator[bool]:
    """Whether no other process writes the tables now."""
    with (folder.path / ".tables.lock").open("a", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def note_end(backend: Backend, part: str, *, lost: int = 0, later: bool = False) -> None:
    """Tell the queue, if it responds; otherwise it finds out by the heartbeat."""
    with contextlib.suppress(QueueUnavailable), queue_errors():
        backend.studies.end(part, lost=lost, later=later)

"""The function that a worker runs for studies: one part after another, in one process, until a single job waits.

The process keeps the network that it has loaded. The truth is in the folder of the study: a part that is interrupted in
any way is queued again by the feeder.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Final

from jobs.errors import JobNotFound, QueueUnavailable, StudyNotFound
from jobs.state.backend import Backend, open_backend
from jobs.state.faults import FaultKind
from jobs.state.queue import JOB_TIMEOUT_S, queue_errors
from jobs.state.rq_adapter import JobTimedOut, TimeLimit
from jobs.state.study_queue import KILLED_WEIGHT
from jobs.studies.entries import Kind, Part
from jobs.studies.folder import StudyFolder
from jobs.studies.map_requests import note_problem
from jobs.studies.parts import (
    analyse_row,
    check_rows,
    compare_subject,
    make_maps,
    note_end,
    note_failure,
    take_version,
    write_study_tables,
)
from jobs.studies.read_ahead import read_ahead
from jobs.studies.record import Phase
from jobs.worker.machine_fault import NOTE, MachineFault, fault_behind
from jobs.worker.more_work import MORE_WORK
from pipeline.errors import KneeError
from studies.analysis import OF_THE_MACHINE
from studies.store import FailureRecord

HORSE_S: Final = 600.0
"""After this time a work-horse takes no further part, so that memory which libraries keep is returned."""

CHECK_LIMIT_S: Final = 6 * 3600

log = logging.getLogger(__name__)


def run_part(name: str) -> None:
    """Work on a part of a study, then on further ones. Does not raise for a fault of one of them."""
    from pipeline.segmentation.runtime import keep_network

    keep_network()
    backend = open_backend()
    started = time.monotonic()
    part: str | None = name
    while part is not None and _work_on(backend, part, name):
        part = None
        if MORE_WORK.allowed and time.monotonic() - started < HORSE_S:
            with contextlib.suppress(QueueUnavailable), queue_errors():
                part = backend.studies.take(name)


def _work_on(backend: Backend, name: str, horse: str) -> bool:
    """Whether this process can continue with another part."""
    kind = backend.storage.problem()
    if kind is not None:
        NOTE.write(MachineFault(kind))
        return False
    try:
        part = Part.of(name)
    except ValueError:
        log.warning("studies: an entry that is no part of a study was dropped")
        return True
    interruptions = 0
    with contextlib.suppress(QueueUnavailable), queue_errors():
        backend.queue.write_heartbeat(horse)
        interruptions = backend.studies.begin(name, horse)
    try:
        with TimeLimit(CHECK_LIMIT_S if part.kind is Kind.CHECK else JOB_TIMEOUT_S, JobTimedOut):
            done = _do(backend, part, interruptions)
    except (StudyNotFound, JobNotFound):
        done = True
    except Exception as error:  # noqa: BLE001 -- a bug, or a fault of the machine: the worker continues
        return _fault(backend, part, error)
    note_end(backend, name, later=not done)
    return True


def _do(backend: Backend, part: Part, interruptions: int) -> bool:
    if part.kind is Kind.ROW:
        read_ahead(backend)
        return analyse_row(backend, part, interruptions, (JobTimedOut,))
    if part.kind is Kind.VERSION:
        return take_version(backend, part)
    work = {
        Kind.CHECK: check_rows,
        Kind.SUBJECT: compare_subject,
        Kind.TABLES: write_study_tables,
        Kind.MAPS: make_maps,
    }
    work[part.kind](backend, part)
    return True


def _fault(backend: Backend, part: Part, error: Exception) -> bool:
    if isinstance(error, OF_THE_MACHINE) and (kind := fault_behind(error, backend.storage)) is None:
        log.warning("study %s: paused, %s (%s)", part.study, error.code, error.message)
        _pause(backend, part, error)
        note_end(backend, part.id)
        return True
    kind = None if isinstance(error, JobTimedOut) else fault_behind(error, backend.storage)
    if kind is not None:
        log.warning("study %s: %s %d interrupted, %s", part.study, part.kind, part.number, kind, exc_info=error)
        NOTE.write(MachineFault(kind))
        note_end(backend, part.id, lost=KILLED_WEIGHT if kind is FaultKind.OUT_OF_MEMORY else 0)
        return False
    log.error("study %s: %s %d", part.study, part.kind, part.number, exc_info=error)
    if part.kind is Kind.ROW:
        _fail(backend, part, error)
    elif part.kind is Kind.MAPS:
        with contextlib.suppress(StudyNotFound, OSError):
            note_problem(StudyFolder(backend.settings.data_dir, part.study), part.number)
    elif part.kind is Kind.CHECK:
        unexpected = KneeError("The check of the rows failed unexpectedly.", hint="Report it to the operator.")
        _pause(backend, part, unexpected, Phase.INVALID)
    note_end(backend, part.id, later=True)
    return True


def _fail(backend: Backend, part: Part, error: Exception) -> None:
    failure = FailureRecord(
        code="INTERNAL_ERROR",
        message=f"Unexpected error ({type(error).__name__}).",
        hint="Report it to the operator with the number of the row.",
    )
    if isinstance(error, JobTimedOut):
        failure = FailureRecord(
            code="TIMEOUT", message=f"The analysis took more than {JOB_TIMEOUT_S // 60} minutes and was stopped."
        )
    with contextlib.suppress(OSError):
        note_failure(backend, part, failure)


def _pause(backend: Backend, part: Part, error: KneeError, phase: Phase = Phase.PAUSED) -> None:
    facts = {"code": error.code, "message": error.message, "hint": error.hint}
    with contextlib.suppress(StudyNotFound, OSError):
        StudyFolder(backend.settings.data_dir, part.study).change(lambda _: {"phase": phase, "problem": facts})

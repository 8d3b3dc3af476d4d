"""The function that a worker runs: one attempt of one job, from claim to final state."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from jobs.errors import AttemptSuperseded, QueueUnavailable
from jobs.logs import job_log
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.ending import finish_job
from jobs.state.faults import FaultKind
from jobs.state.lifecycle import completed, ended, ending_on_disk, failed_while_running, interrupted
from jobs.state.model import JobRecord, RecordChanges, Status
from jobs.state.queue import JOB_TIMEOUT_S, queue_errors
from jobs.state.room import needed_bytes
from jobs.state.rq_adapter import JobTimedOut
from jobs.state.work_lock import WorkLock, boot_id
from jobs.worker.machine_fault import NOTE, MachineFault, fault_behind, give_back
from pipeline.errors import KneeError
from pipeline.options import AnalysisOptions
from pipeline.progress import Progress, StepRecord
from pipeline.types import Request

PROGRESS_INTERVAL_S: Final = 0.5
MAX_PERCENT: Final = 99
"""Of a job that has not ended."""

END_WRITE_TIMEOUT_S: Final = 120.0
END_WRITE_RETRY_S: Final = 1.0
"""The final state is written repeatedly, for up to this time, if the queue is not responding when a job ends."""

log = logging.getLogger(__name__)


def run_job(job_id: str) -> None:
    """Analyse a job's upload and set its record to a final state.

    Returns at once if the job has ended, its results are complete, or another process works on it. After a fault of the
    machine the job is given back to the queue. Raises QueueUnavailable if the final state cannot be written; the
    reconciler then reads it from the folder.
    """
    backend = open_backend()
    kind = backend.storage.problem()
    if kind is None:
        try:
            _work_on(backend, job_id)
        except OSError as error:  # of the lock or the log
            kind = fault_behind(error, backend.storage)
            if kind is None:
                raise
    if kind is not None:
        _report(backend, job_id, None, MachineFault(kind))


def _work_on(backend: Backend, job_id: str) -> None:
    lock = backend.storage.work_lock(job_id)
    with lock.hold() as held:
        record = _claim(backend, job_id, lock) if held else None
        if record is None:
            log.info("job %s has ended, was deleted or is processed elsewhere: nothing to do", job_id)
            return
        try:
            with job_log(backend.storage.log_path(job_id)):
                _attempt(backend, record)
        except MachineFault as fault:  # reported while the lock is held: nobody else takes the job for lost
            _report(backend, job_id, record.attempt, fault)


def _attempt(backend: Backend, record: JobRecord) -> None:
    """Raises MachineFault."""
    log.info("job %s: attempt %d", record.id, record.attempt)
    _reserve_room(backend, record)
    try:
        changes = _analyse(backend, record)
        if changes is None or not _end(backend, record, changes):
            _remove_superseded(backend, record)
    finally:
        with contextlib.suppress(QueueUnavailable), queue_errors():
            backend.room.release(record.id)


def _reserve_room(backend: Backend, record: JobRecord) -> None:
    """Raises MachineFault without room for this job; a job for which the disk is too small is left to fail."""
    needed = needed_bytes(record.voxels)
    with contextlib.suppress(QueueUnavailable), queue_errors():
        if backend.room.can_ever_fit(needed) and not backend.room.reserve(record.id, needed):
            raise MachineFault(FaultKind.DISK_FULL, needed)


def _report(backend: Backend, job_id: str, attempt: int | None, fault: MachineFault) -> None:
    """Tell the worker, which pauses, and give the job back to the queue."""
    log.warning("job %s: interrupted, %s", job_id, fault.kind.words)
    NOTE.write(fault)
    give_back(backend, job_id, attempt, fault)


@queue_errors()
def _claim(backend: Backend, job_id: str, lock: WorkLock) -> JobRecord | None:
    """Claim the next attempt of a job while holding its lock; older attempts can no longer write."""
    if lock.last_held_elsewhere and backend.queue.heartbeat_of(job_id) not in (None, boot_id()):
        return None
    backend.queue.write_heartbeat(job_id)

    def decide(record: JobRecord) -> RecordChanges | None:
        if record.status.final:
            return None
        if ending := ending_on_disk(backend.storage, record):
            return ending
        changes: RecordChanges = {}
        if record.status is Status.PROCESSING:  # the lock was free: that attempt has ended
            changes = interrupted(record)
            if changes["status"] is not Status.QUEUED:
                return changes
        return changes | {
            "status": Status.PROCESSING,
            "fault": "",
            "attempt": max(record.attempt, lock.last_attempt, *backend.storage.attempts(job_id)) + 1,
            "started_at": now(),
            "step_name": "Starting",
        }

    record, changed = backend.store.change(job_id, decide)
    if record is None or not changed:
        return None
    if record.status.final:
        finish_job(backend, record)
        return None
    lock.note_attempt(record.attempt)
    return record


def _analyse(backend: Backend, record: JobRecord) -> RecordChanges | None:
    """Run the analysis; returns the fields of the final record, or None if the job was ended elsewhere.

    Raises MachineFault.
    """
    progress = _ProgressWriter(backend, record)
    try:
        return _run(backend, record, progress)
    except AttemptSuperseded:
        log.info("job %s was cancelled or taken over: stopped", record.id)
        return None
    except JobTimedOut:
        log.exception("job %s: too slow", record.id)
        ending = ended("TIMEOUT", f"The analysis took more than {JOB_TIMEOUT_S // 60} minutes and was stopped.")
    except Exception as error:  # the only place where a bug ends a job; the worker continues
        if (kind := fault_behind(error, backend.storage)) is not None:
            log.warning("job %s: %s", record.id, kind, exc_info=True)
            raise MachineFault(kind) from error
        if record.attempt not in backend.storage.attempts(record.id):  # a later one has removed its files
            log.info("job %s: the files of attempt %d are gone: stopped", record.id, record.attempt)
            return None
        ending = _failure(error, record)
    return ending | {"steps": progress.steps_after_failure(str(ending["error_message"]))}


def _failure(error: Exception, record: JobRecord) -> RecordChanges:
    if isinstance(error, KneeError):
        log.warning("job %s: %s (%s)", record.id, error.code, error.message)
        return ended(error.code, error.message, error.hint, error.offers)
    log.error("job %s: unexpected error", record.id, exc_info=error)
    return ended("INTERNAL_ERROR", f"Unexpected error, job {record.id}.", "Report the job ID to the operator.")


def _run(backend: Backend, record: JobRecord, progress: _ProgressWriter) -> RecordChanges:
    from pipeline.run import run_analysis

    try:
        workspace = backend.storage.begin_attempt(record.id, record.attempt)
    except FileExistsError:
        raise AttemptSuperseded("An attempt with this number has begun elsewhere.") from None
    summary = run_analysis(
        workspace,
        AnalysisOptions.from_dict(record.options),
        backend.settings.resources,
        Request(
            input_name="",
            scan=Path(record.input_path).name if record.input_path else None,
            labels=Path(record.labels_path).name if record.labels_path else None,
            corrected=record.corrected,
        ),
        progress.write,
    )
    return completed(
        steps=list(summary.steps),
        warnings=list(summary.warnings),
        archive=backend.storage.stored_path(record.id, workspace.archive_path),
        archive_bytes=summary.archive_bytes,
    )


def _end(backend: Backend, record: JobRecord, changes: RecordChanges) -> bool:
    """Write the final state as soon as the queue responds; False if the job was ended elsewhere.

    This publishes the attempt: the record names its results only if there is no later attempt.
    """
    deadline = time.monotonic() + END_WRITE_TIMEOUT_S
    while True:
        try:
            with queue_errors():
                final, written = backend.store.change(record.id, _unless_superseded(record, changes))
                if final is None or not written:
                    log.info("job %s was ended elsewhere", record.id)
                    return False
                finish_job(backend, final)
                return True
        except QueueUnavailable:
            if time.monotonic() > deadline:
                backend.storage.write_record(replace(record, **changes))
                raise
            time.sleep(END_WRITE_RETRY_S)


def _remove_superseded(backend: Backend, record: JobRecord) -> None:
    """Remove the files of an attempt if there is a later one; those of a cancelled job serve a restart."""
    with contextlib.suppress(QueueUnavailable), queue_errors():
        current = backend.store.load(record.id)
        if current is not None and current.attempt > record.attempt:
            backend.storage.remove_attempt(record.id, record.attempt)


def _unless_superseded(record: JobRecord, changes: RecordChanges) -> Callable[[JobRecord], RecordChanges | None]:
    def decide(current: JobRecord) -> RecordChanges | None:
        if current.status.final or current.attempt > record.attempt:
            return None
        return {"attempt": record.attempt, "started_at": record.started_at} | changes

    return decide


def _meta(progress: Progress) -> dict[str, object]:
    """Progress in the form of the record's fields, for RQ's dashboards."""
    return {
        "progress_percent": min(MAX_PERCENT, progress.percent),
        "current_step": progress.index,
        "total_steps": progress.total,
        "step_name": progress.title,
        "steps": [asdict(step) for step in progress.steps],
    }


class _ProgressWriter:
    """Writes progress to the record and RQ's metadata: at every change of step, otherwise at most twice per second."""

    def __init__(self, backend: Backend, record: JobRecord) -> None:
        self._backend = backend
        self._record = record
        self._written = 0.0
        self._states: tuple[str, ...] = ()
        self._steps: tuple[StepRecord, ...] = ()

    def write(self, progress: Progress) -> None:
        """Raises AttemptSuperseded if the job has ended or has a newer attempt, which stops the analysis."""
        self._steps = progress.steps
        states = (progress.name, *(step.state for step in progress.steps))
        moment = time.monotonic()
        if states == self._states and moment - self._written < PROGRESS_INTERVAL_S:
            return
        self._states, self._written = states, moment
        changes: RecordChanges = {
            "status": Status.PROCESSING,  # in case Redis has lost its last second of writes
            "attempt": self._record.attempt,
            "started_at": self._record.started_at,
            "progress_percent": min(MAX_PERCENT, progress.percent),
            "current_step": progress.index,
            "total_steps": progress.total,
            "step_name": progress.title,
            "steps": list(progress.steps),
        }
        try:
            with queue_errors():
                accepted = self._backend.store.merge(self._record.id, self._record.attempt, changes)
                self._backend.queue.write_meta(self._record.id, _meta(progress))
        except QueueUnavailable:
            log.warning("job %s: progress could not be written", self._record.id)
            return
        if not accepted:
            raise AttemptSuperseded("The job has ended or has a later attempt.")

    def steps_after_failure(self, reason: str) -> list[StepRecord]:
        """The current steps, with the running one failed."""
        return failed_while_running(self._steps, reason)

"""The states of a job: the fields that change with each state, and the state according to disk and RQ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from jobs.state.clock import now
from jobs.state.faults import FaultKind
from jobs.state.model import CANCELLED, WORKER_LOST, JobRecord, RecordChanges, Status
from jobs.state.storage import Manifest, Storage
from jobs.state.store import Snapshot
from pipeline.errors import OutOfMemory
from pipeline.options import AnalysisOptions
from pipeline.progress import StepRecord, StepState

MAX_ATTEMPTS: Final = 2
MAX_MEMORY_FAULTS: Final = 3
_RQ_ENDED: Final = ("failed", "stopped", "canceled", "finished")


def completed(*, steps: list[StepRecord], warnings: list[str], archive: str, archive_bytes: int) -> RecordChanges:
    """The fields of a job with complete results."""
    return {
        "status": Status.COMPLETE,
        "progress_percent": 100,
        "current_step": len(steps),
        "total_steps": len(steps),
        "step_name": "Complete",
        "steps": steps,
        "warnings": warnings,
        "result_path": archive,
        "result_size_bytes": archive_bytes,
        "error_message": None,
        "error_code": None,
        "hint": "",
        "offers": {},
        "completed_at": now(),
        "email": None,
    }


def results_on_disk(storage: Storage, record: JobRecord) -> RecordChanges | None:
    """The fields of a job with a manifest of its present attempt or a later one, whichever process wrote it."""
    attempts = [number for number in storage.attempts(record.id) if number >= record.attempt] or [record.attempt]
    for attempt in reversed(attempts):
        manifest = storage.read_manifest(record.id, attempt)
        if manifest is not None:
            return _published(storage, record.id, attempt, manifest)
    return None


def _published(storage: Storage, job_id: str, attempt: int, manifest: Manifest) -> RecordChanges:
    # the manifest is written by the last step, which does not yet know that it is done
    unfinished = (StepState.WAITING, StepState.RUNNING)
    steps = [replace(step, state=StepState.DONE) if step.state in unfinished else step for step in manifest.steps]
    changes = completed(
        steps=steps,
        warnings=manifest.warnings,
        archive=storage.stored_path(job_id, storage.workspace(job_id, attempt).archive_path),
        archive_bytes=manifest.archive_bytes,
    )
    changes["completed_at"] = storage.manifest_time(job_id, attempt)
    changes["attempt"] = attempt
    return changes


def ended(code: str, message: str, hint: str = "", offers: dict[str, list[str]] | None = None) -> RecordChanges:
    """The fields of a job that ended without results."""
    return {
        "status": Status.ERROR,
        "error_code": code,
        "error_message": message,
        "hint": hint,
        "offers": offers or {},
        "completed_at": now(),
        "email": None,
    }


def reopened(attempt: int, options: AnalysisOptions, expires_at: datetime) -> RecordChanges:
    """The fields of an ended job that is queued again; the attempt number prevents writes of earlier attempts."""
    return {
        "status": Status.QUEUED,
        "attempt": attempt,
        "lost_attempts": 0,
        "fault": "",
        "memory_faults": [],
        "options": options.to_dict(),
        "expires_at": expires_at,
        "started_at": None,
        "completed_at": None,
        "progress_percent": 0,
        "current_step": 0,
        "step_name": "",
        "steps": [],
        "warnings": [],
        "result_path": None,
        "result_size_bytes": None,
        "error_message": None,
        "error_code": None,
        "hint": "",
        "offers": {},
        "review": {},
    }


def given_back(record: JobRecord, kind: FaultKind, completed_jobs: int) -> RecordChanges:
    """The fields of a job whose attempt ended by a fault of the machine. That ends no job.

    Memory is the exception: a job that ran out of it several times while other jobs were completed needs too much.

    completed_jobs: number of jobs that this server has completed
    """
    if kind is not FaultKind.OUT_OF_MEMORY:
        return {"fault": kind}
    faults = [*record.memory_faults, completed_jobs]
    if len(faults) >= MAX_MEMORY_FAULTS and faults[-1] - faults[-MAX_MEMORY_FAULTS] >= MAX_MEMORY_FAULTS - 1:
        message = f"The analysis ran out of memory {len(faults)} times, while others were completed."
        return ended(OutOfMemory("").code, message, OutOfMemory.next_step) | {"memory_faults": faults}
    return {"fault": kind, "memory_faults": faults}


def queued_again() -> RecordChanges:
    """The fields of a job whose work has ended without a result, and starts again."""
    return {
        "status": Status.QUEUED,
        "started_at": None,
        "progress_percent": 0,
        "current_step": 0,
        "step_name": "",
        "steps": [],
    }


def interrupted(record: JobRecord) -> RecordChanges:
    """The fields of a job whose work was interrupted: it is queued again, or has failed after MAX_ATTEMPTS.

    After a fault of the machine the attempt does not count.
    """
    lost_attempts = record.lost_attempts + (0 if record.fault else 1)
    if record.fault or lost_attempts < MAX_ATTEMPTS:
        return queued_again() | {"lost_attempts": lost_attempts}
    message = "The analysis was interrupted and could not be finished."
    changes = ended(WORKER_LOST, message, "Start it again.")
    changes["lost_attempts"] = lost_attempts
    changes["steps"] = failed_while_running(record.steps, message)
    return changes


def failed_while_running(steps: Iterable[StepRecord], reason: str) -> list[StepRecord]:
    """The steps with the running one marked as failed."""
    return [
        replace(step, state=StepState.FAILED, reason=reason) if step.state is StepState.RUNNING else step
        for step in steps
    ]


def ending_on_disk(storage: Storage, record: JobRecord) -> RecordChanges | None:
    """What the folder of an open job says of its end, which the queue does not know; None: nothing.

    An end in job.json takes precedence: a cancelled job is not complete, even if its results are.
    """
    written = storage.read_record(record.id)
    if written is not None and written.status.final and written.attempt >= record.attempt:
        return _ending_of(written)
    if storage.folder_is_missing(record.id):
        return ended(CANCELLED, "The job was deleted.")
    return results_on_disk(storage, record)


def _ending_of(record: JobRecord) -> RecordChanges:
    return {
        "attempt": record.attempt,
        "status": record.status,
        "progress_percent": record.progress_percent,
        "current_step": record.current_step,
        "total_steps": record.total_steps,
        "step_name": record.step_name,
        "steps": record.steps,
        "warnings": record.warnings,
        "result_path": record.result_path,
        "result_size_bytes": record.result_size_bytes,
        "error_message": record.error_message,
        "error_code": record.error_code,
        "hint": record.hint,
        "offers": record.offers,
        "started_at": record.started_at,
        "completed_at": record.completed_at,
        "email": record.email,
    }


def contradicted(snapshot: Snapshot) -> bool:
    """Whether RQ has ended the job or does not know it while its record is open."""
    record = snapshot.record
    if not record.ours or record.status.final:
        return False
    return snapshot.rq_status is None or snapshot.rq_status in _RQ_ENDED

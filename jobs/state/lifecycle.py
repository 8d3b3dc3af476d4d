"""The states of a job: the fields that change with each state, and the state according to disk and RQ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from jobs.state.model import CANCELLED, WORKER_LOST, JobRecord, RecordChanges, Status, now
from jobs.state.storage import Storage
from jobs.state.store import Snapshot
from pipeline.options import AnalysisOptions
from pipeline.progress import StepRecord, StepState

MAX_ATTEMPTS: Final = 2
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


def results_on_disk(storage: Storage, job_id: str) -> RecordChanges | None:
    """The fields of a job with a manifest, regardless of the process that wrote it."""
    manifest = storage.read_manifest(job_id)
    if manifest is None:
        return None
    # the manifest is written by the last step, which does not yet know that it is done
    unfinished = (StepState.WAITING, StepState.RUNNING)
    steps = [replace(step, state=StepState.DONE) if step.state in unfinished else step for step in manifest.steps]
    changes = completed(
        steps=steps,
        warnings=manifest.warnings,
        archive=str(storage.workspace(job_id).archive_path),
        archive_bytes=manifest.archive_bytes,
    )
    changes["completed_at"] = storage.manifest_time(job_id)
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
    }


def interrupted(record: JobRecord) -> RecordChanges:
    """The fields of a job whose work was interrupted: it is queued again, or has failed after MAX_ATTEMPTS."""
    lost_attempts = record.lost_attempts + 1
    if lost_attempts < MAX_ATTEMPTS:
        return {
            "lost_attempts": lost_attempts,
            "status": Status.QUEUED,
            "started_at": None,
            "progress_percent": 0,
            "current_step": 0,
            "step_name": "",
            "steps": [],
        }
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
    return results_on_disk(storage, record.id)


def _ending_of(record: JobRecord) -> RecordChanges:
    return {
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

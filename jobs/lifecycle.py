"""The states of a job: the fields that change with each, what is shown of them, how a contradicted record is mended."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from jobs.model import WORKER_LOST, JobRecord, Status, now
from jobs.storage import Storage
from jobs.store import JobStore, Snapshot
from pipeline.options import AnalysisOptions

_RQ_ENDED: Final = ("failed", "stopped", "canceled", "finished")


def completed(*, steps: list[dict[str, Any]], warnings: list[str], archive: str, archive_bytes: int) -> dict[str, Any]:
    """The fields of a job whose results are whole."""
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
        "completed_at": now(),
        "email": None,
    }


def results_on_disk(storage: Storage, job_id: str) -> dict[str, Any] | None:
    """The fields of a job whose manifest is there, whatever became of the process that wrote it."""
    manifest = storage.read_manifest(job_id)
    if manifest is None:
        return None
    # the manifest is written by the last step, which does not yet know that it is done
    steps = [
        step | {"state": "done"} if step["state"] in ("waiting", "running") else step for step in manifest["steps"]
    ]
    return completed(
        steps=steps,
        warnings=list(manifest["warnings"]),
        archive=str(storage.workspace(job_id).archive_path),
        archive_bytes=int(manifest["archive_bytes"]),
    )


def ended(code: str, message: str, hint: str = "") -> dict[str, Any]:
    """The fields of a job that ended without results."""
    return {
        "status": Status.ERROR,
        "error_code": code,
        "error_message": message,
        "hint": hint,
        "completed_at": now(),
        "email": None,
    }


def reopened(attempt: int, options: AnalysisOptions, expires_at: datetime) -> dict[str, Any]:
    """The fields of an ended job that waits again; the number of its attempt keeps older work from writing."""
    return {
        "status": Status.QUEUED,
        "attempt": attempt,
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
    }


def contradicted(snapshot: Snapshot) -> bool:
    """RQ has ended the job, or does not know it, while its record says that it lives."""
    record = snapshot.record
    if not record.ours or record.status.final:
        return False
    return snapshot.rq_status is None or snapshot.rq_status in _RQ_ENDED


def repair(store: JobStore, storage: Storage, job_id: str) -> None:
    """End a record whose work ended without saying so: complete where the manifest stands, else WORKER_LOST."""
    lost = ended(WORKER_LOST, "The analysis was interrupted and could not be finished.", "Start it again.")
    ending = results_on_disk(storage, job_id) or lost

    def decide(record: JobRecord) -> dict[str, Any] | None:
        return None if record.status.final else ending

    if store.change(job_id, decide)[1]:
        storage.remove_upload(job_id)

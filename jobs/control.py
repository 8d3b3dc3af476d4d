"""What ends a job, or begins it again."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from jobs.errors import JobConflict
from jobs.intake.form import parse_options
from jobs.state.backend import Backend, backend
from jobs.state.lifecycle import ended, reopened
from jobs.state.model import CANCELLED, JobRecord, JobView, now
from jobs.state.queue import queue_errors
from jobs.state.work_lock import Work
from jobs.views.reading import get, not_found

KILL_AFTER_S: Final = 0.4
STOP_S: Final = 2.0


@queue_errors()
def cancel(job_id: str) -> JobView:
    """End a waiting or running job; its work stops within a second. Raises JobNotFound, JobConflict (it has ended)."""
    here = backend()
    here.storage.folder(job_id)

    def decide(record: JobRecord) -> dict[str, Any] | None:
        return None if record.status.final else ended(CANCELLED, "The job was cancelled.", "")

    record, cancelled = here.store.change(job_id, decide)
    if record is None:
        raise not_found()
    if not cancelled:
        raise JobConflict(f"The job has already ended ({record.status}); expected one that waits or runs.")
    here.storage.write_record(record)
    _stop(here, job_id)
    here.queue.remove(job_id)
    here.storage.remove_upload(job_id)
    return get(job_id)


@queue_errors()
def retry(job_id: str, options: dict[str, Any] | None = None) -> JobView:
    """Run an ended job again; `options` names those that change. Steps whose input is unchanged are not run again.

    Raises JobNotFound, JobConflict (it has not ended, or its scan is no longer there), InvalidForm.
    """
    here = backend()
    workspace = here.storage.workspace(job_id)
    before, text = here.store.load_text(job_id)
    if before is None:
        raise not_found()
    if not before.status.final:
        raise JobConflict(f"The job is {before.status}; expected one that has ended.")
    chosen = parse_options(before.options, options or {})
    if not workspace.has("scan") and not Path(before.input_path).is_file():
        raise JobConflict("The upload of this job is no longer there.", hint="Upload the scan again.")
    expires_at = now() + timedelta(hours=here.settings.results_expiry_hours)
    after = replace(before, **reopened(before.attempt + 1, chosen, expires_at))
    if not _stop(here, job_id):
        raise JobConflict("The job's work has not ended yet.", hint="Try again in some seconds.")
    workspace.discard("report")  # written again, with the manifest, which would otherwise say "complete" at once
    workspace.manifest_path.unlink(missing_ok=True)
    created = (before.created_at or now()).timestamp()
    if not here.queue.enqueue(job_id, after.to_json(), created, replaces=text):
        raise JobConflict("Somebody else has just changed this job.", hint="Look at it again.")
    here.storage.write_record(after)
    return get(job_id)


def can_retry(job_id: str) -> bool:
    """Whether the scan of a job is still there: an upload goes when its job ends, what was read of it stays longer."""
    here = backend()
    record = here.storage.read_record(job_id)
    return here.storage.workspace(job_id).has("scan") or (record is not None and Path(record.input_path).is_file())


@queue_errors()
def delete(job_id: str) -> None:
    """Stop a job if it runs; remove its files and its record. Raises JobNotFound."""
    here = backend()
    here.storage.folder(job_id)
    record, _ = here.store.change(
        job_id, lambda record: None if record.status.final else ended(CANCELLED, "The job was deleted.", "")
    )
    if record is None:
        raise not_found()
    if not here.storage.has_lost(job_id):
        here.storage.write_record(record)  # from here on it does not run again, whatever the queue forgets
    _stop(here, job_id)
    here.queue.remove(job_id)
    here.storage.remove(job_id)
    here.store.delete(job_id)


def _stop(here: Backend, job_id: str) -> bool:
    """End the work on a job, if any; False where it still goes on after some seconds.

    The worker is asked first; a work-horse of this machine is killed from here where that does not help, for example
    because its worker has just lost the queue.
    """
    lock = here.storage.work_lock(job_id)
    begun = time.monotonic()
    while True:
        started = here.queue.request_stop(job_id)
        work = lock.look()
        waited_s = time.monotonic() - begun
        if work is not Work.ALIVE and (not started or (work is Work.OVER and waited_s > KILL_AFTER_S)):
            return True
        if waited_s > KILL_AFTER_S:
            lock.kill()
        if waited_s > STOP_S:
            return False
        time.sleep(0.03)

"""Cancel or delete a job."""

from __future__ import annotations

import contextlib

from jobs.control.work import stop_work
from jobs.errors import JobConflict, JobNotFound
from jobs.state.backend import open_backend
from jobs.state.lifecycle import ended
from jobs.state.model import CANCELLED, JobRecord, JobView, RecordChanges
from jobs.state.queue import queue_errors
from jobs.state.research import remove_copy_of
from jobs.views.reading import get, not_found


@queue_errors()
def cancel(job_id: str) -> JobView:
    """End a queued or running job; its work stops within 1 s. Raises JobNotFound, JobConflict (already ended)."""
    backend = open_backend()
    backend.storage.folder(job_id)
    record, cancelled = backend.store.change(job_id, lambda record: _cancelled(record, "The job was cancelled."))
    if record is None:
        raise not_found()
    if not cancelled:
        raise JobConflict(f"The job has already ended ({record.status}); expected a queued or running job.")
    backend.statistics.record_end(record)
    backend.storage.write_record(record)
    stop_work(backend, job_id)
    backend.queue.remove(job_id)
    backend.storage.remove_upload(job_id)
    return get(job_id)


@queue_errors()
def delete(job_id: str, *, with_research_copy: bool = True) -> None:
    """Stop a job if it runs; delete its files, its copy for research and its record. Raises JobNotFound.

    with_research_copy: False where the job has expired: the copy has its own expiry time
    """
    backend = open_backend()
    backend.storage.folder(job_id)
    record, cancelled = backend.store.change(job_id, lambda record: _cancelled(record, "The job was deleted."))
    if record is None:
        raise not_found()
    if cancelled:
        backend.statistics.record_end(record)
    if not backend.storage.folder_is_missing(job_id):
        backend.storage.write_record(record)  # prevents another run, even if the queue loses this change
    stop_work(backend, job_id)
    backend.queue.remove(job_id)
    if with_research_copy:
        remove_copy_of(backend.storage, job_id)
    backend.storage.remove(job_id)
    backend.store.delete(job_id)


@queue_errors()
def delete_versions(job_id: str) -> int:
    """Delete all versions of the analysis that a job belongs to; returns their number. Raises JobNotFound."""
    backend = open_backend()
    backend.storage.folder(job_id)
    record = backend.store.load(job_id)
    if record is None:
        raise not_found()
    family = backend.store.family(record.family)
    for version in reversed(family):
        with contextlib.suppress(JobNotFound):  # deleted meanwhile
            delete(version.id)
    return len(family)


def _cancelled(record: JobRecord, message: str) -> RecordChanges | None:
    return None if record.status.final else ended(CANCELLED, message)

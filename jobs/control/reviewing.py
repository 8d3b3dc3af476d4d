"""A reader's judgement of a result. It can change after the results were written, so it is kept in the record alone."""

from __future__ import annotations

from jobs.errors import JobNotFinished
from jobs.intake.version_form import ReviewForm
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, JobView, RecordChanges, Status
from jobs.state.queue import queue_errors
from jobs.views.reading import get, not_found


@queue_errors()
def set_review(job_id: str, form: ReviewForm) -> JobView:
    """Store or remove the judgement of a complete job. Raises JobNotFound, JobNotFinished."""
    backend = open_backend()
    backend.storage.folder(job_id)
    at = now().isoformat(timespec="seconds")
    review = {"state": str(form.state), "reason": form.reason, "at": at} if form.state else {}

    def decide(record: JobRecord) -> RecordChanges | None:
        return {"review": review} if record.status is Status.COMPLETE else None

    record, written = backend.store.change(job_id, decide)
    if record is None:
        raise not_found()
    if not written:
        raise JobNotFinished(f"Only a complete result can be reviewed. Current status: {record.status}.")
    if not backend.storage.folder_is_missing(job_id):
        backend.storage.write_record(record)
    return get(job_id)

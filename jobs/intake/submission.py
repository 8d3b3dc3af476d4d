"""From received bytes to a queued job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from jobs.intake.form_receiver import FormReceiver
from jobs.intake.uploads import Upload
from jobs.intake.validation import check_upload
from jobs.state.backend import open_backend
from jobs.state.model import JobRecord, JobView, now
from jobs.state.queue import queue_errors
from jobs.views.reading import get
from pipeline.options import AnalysisOptions
from pipeline.types import ScanFacts


def submit_stream(
    chunks: Iterable[bytes], filename: str, options: AnalysisOptions, email: str | None = None
) -> JobView:
    """Store an upload, check it and queue it; a rejected upload leaves no files.

    Raises InvalidUpload and the other InputErrors (the file), UploadTooLarge, StorageFull, QueueUnavailable.
    """
    upload = new_upload()
    try:
        upload.open(filename)
        for chunk in chunks:
            upload.write(chunk)
        upload.close()
        return _submit(upload, options, email)
    except BaseException:
        upload.discard()
        raise


def receive_form(content_type: str, announced_bytes: int | None) -> FormReceiver:
    """Begin a multipart upload: feed the receiver, then call `submit_form` or `receiver.upload.discard()`.

    Raises UploadTooLarge by the declared size, StorageFull, InvalidForm, QueueUnavailable, all before a byte is read.
    """
    upload = new_upload()
    upload.check_announced(announced_bytes)
    return FormReceiver(content_type, upload)


def submit_form(receiver: FormReceiver) -> JobView:
    """Check the file of a complete form and queue the job. Raises as `submit_stream` does, and InvalidForm."""
    try:
        options, email = receiver.finish()
        return _submit(receiver.upload, options, email)
    except BaseException:
        receiver.upload.discard()
        raise


@queue_errors()
def new_upload() -> Upload:
    """An empty upload; checks the queue first, so that it is rejected before the transfer if Redis is down."""
    backend = open_backend()
    backend.queue.ping()
    return Upload(backend.storage, backend.settings.max_upload_bytes)


def _submit(upload: Upload, options: AnalysisOptions, email: str | None) -> JobView:
    facts = check_upload(upload.path, options.series)
    record = new_record(upload.job_id, upload.filename, upload.final_path, facts, options, email)
    upload.accept(record)
    return enqueue(record)


def new_record(
    job_id: str, filename: str, path: Path, facts: ScanFacts, options: AnalysisOptions, email: str | None
) -> JobRecord:
    """The record of a job to be queued; `path` is the future path of its upload."""
    created = now()
    return JobRecord(
        id=job_id,
        input_filename=filename,
        input_path=str(path),
        options=options.to_dict(),
        created_at=created,
        retain_for_research=options.retain_results,
        email=email,
        voxels=facts.voxels,
        expires_at=created + timedelta(hours=open_backend().settings.results_expiry_hours),
    )


@queue_errors()
def enqueue(record: JobRecord) -> JobView:
    """Queue a job whose folder exists."""
    backend = open_backend()
    backend.queue.enqueue(record)
    if record.email:
        backend.statistics.record_email(record.email)
    return get(record.id)

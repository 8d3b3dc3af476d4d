"""From received bytes to a queued job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from jobs.access.viewer import new_owner
from jobs.errors import InvalidForm
from jobs.intake.form import JobForm
from jobs.intake.form_receiver import FormKind, FormReceiver
from jobs.intake.parts import FilePart
from jobs.intake.uploads import Upload
from jobs.intake.validation import check_upload
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, JobView
from jobs.state.queue import queue_errors
from jobs.views.reading import get
from pipeline.anatomy import AUTO
from pipeline.options import SPIN_LOCK_TIMES, AnalysisOptions, check_times
from pipeline.upload_facts import UploadFacts

F = TypeVar("F")


def submit_stream(
    chunks: Iterable[bytes], filename: str, options: AnalysisOptions, email: str | None = None
) -> JobView:
    """Store an upload, check it and queue it; a rejected upload leaves no files.

    Raises InvalidUpload and the other InputErrors (the file), UploadTooLarge, StorageFull, QueueUnavailable.
    """
    upload = new_upload()
    try:
        upload.open(FilePart.SCAN, filename)
        for chunk in chunks:
            upload.write(chunk)
        upload.close()
        return _submit(upload, JobForm(options=options, email=email))
    except BaseException:
        upload.discard()
        raise


def receive_form(content_type: str, announced_bytes: int | None, form: FormKind[F]) -> FormReceiver[F]:
    """Begin a multipart upload: feed the receiver, then call `submit_form` or `receiver.upload.discard()`.

    Raises UploadTooLarge by the declared size, StorageFull, InvalidForm, QueueUnavailable, all before a byte is read.
    """
    upload = new_upload()
    upload.check_announced(announced_bytes)
    return FormReceiver(content_type, upload, form)


def submit_form(receiver: FormReceiver[JobForm]) -> JobView:
    """Check the file of a complete form and queue the job. Raises as `submit_stream` does, and InvalidForm."""
    try:
        form = receiver.finish()
        _require_labels(receiver.upload, form.options)
        return _submit(receiver.upload, form, consents=receiver.consents)
    except BaseException:
        receiver.upload.discard()
        raise


@queue_errors()
def new_upload() -> Upload:
    """An empty upload; checks the queue first, so that it is rejected before the transfer if Redis is down."""
    backend = open_backend()
    backend.queue.ping()
    return Upload(backend.storage, backend.settings.max_upload_bytes)


def _require_labels(upload: Upload, options: AnalysisOptions) -> None:
    """Raise InvalidForm if a numbering was chosen without a label map."""
    if options.numbering != AUTO and FilePart.LABELS not in upload.names:
        text = "A numbering needs a label map in the field 'labels'"
        raise InvalidForm([{"type": "missing", "loc": ["body", "labels"], "msg": text, "input": None}])


def _submit(upload: Upload, form: JobForm, *, consents: bool = True) -> JobView:
    facts = check_upload(upload.path(FilePart.SCAN), form.options.series, labels=upload.path(FilePart.LABELS))
    require_usable(facts, form.options)
    record = new_record(upload.job_id, upload.filename, upload.names, facts, form, new_owner())
    if not consents:
        record = replace(record, retain_for_research=False)
    upload.accept(record)
    return enqueue(record)


def require_usable(facts: UploadFacts, options: AnalysisOptions) -> None:
    """Raise UnsupportedImage if the label map cannot be read with the chosen options; OptionsError for echo or
    spin-lock times that do not fit the scan.
    """
    if facts.labels is not None:
        facts.labels.require_grid(resample=options.resample_labels)
        facts.labels.reading(options.numbering)
    images = 0 if facts.scan is None else facts.scan.echoes
    check_times(options.echo_times_ms, images)
    check_times(options.spin_lock_times_ms, images, SPIN_LOCK_TIMES)


def new_record(
    job_id: str,
    filename: str,
    names: Mapping[FilePart, str],
    facts: UploadFacts,
    form: JobForm,
    owner: str,
) -> JobRecord:
    """The record of a job to be queued; `names`: the user's names of its files."""
    created = now()
    paths = {part: part.stored_path(name) for part, name in names.items()}
    scan = paths.get(FilePart.SCAN) if facts.scan is not None else None
    labels = paths.get(FilePart.LABELS, paths.get(FilePart.SCAN)) if facts.labels is not None else None
    return JobRecord(
        id=job_id,
        input_filename=filename,
        input_path=scan or "",
        labels_path=labels or "",
        options=form.options.to_dict(),
        created_at=created,
        retain_for_research=form.options.retain_results,
        email=form.email,
        priority=form.priority,
        voxels=facts.voxels,
        owner=owner,
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

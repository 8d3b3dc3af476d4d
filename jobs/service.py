"""What pages, routes and the command line may do with jobs. Every function raises QueueUnavailable without Redis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.backend import Backend, backend
from jobs.errors import JobConflict, JobNotFinished, JobNotFound, ResultNotFound
from jobs.form import parse_options
from jobs.health import health, models
from jobs.lifecycle import contradicted, ended, reopened, repair, view
from jobs.model import CANCELLED, JobRecord, JobView, Status, now
from jobs.queue import queue_errors
from jobs.store import Snapshot
from jobs.uploads import FormReceiver, Upload
from jobs.validation import check_upload
from pipeline.options import AnalysisOptions

__all__ = [
    "archive",
    "artifact",
    "cancel",
    "delete",
    "get",
    "health",
    "measurements",
    "models",
    "receive_form",
    "recent",
    "results_folder",
    "retry",
    "stats",
    "submit_form",
    "submit_stream",
]


def submit_stream(
    chunks: Iterable[bytes], filename: str, options: AnalysisOptions, email: str | None = None
) -> JobView:
    """Store an upload, check it, queue it; nothing stays on disk where it is refused.

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
    """Begin a multipart upload: feed the receiver, then `submit_form` or `receiver.upload.discard()`.

    Raises UploadTooLarge by the announced size, StorageFull, InvalidForm, QueueUnavailable: before a byte is read.
    """
    upload = new_upload()
    upload.check_announced(announced_bytes)
    return FormReceiver(content_type, upload)


def submit_form(receiver: FormReceiver) -> JobView:
    """The form is whole: check the file, queue the job. Raises as `submit_stream` does, and InvalidForm."""
    try:
        options, email = receiver.finish()
        return _submit(receiver.upload, options, email)
    except BaseException:
        receiver.upload.discard()
        raise


@queue_errors()
def new_upload() -> Upload:
    """An empty upload; the queue is asked first, so that nothing is sent for nothing."""
    here = backend()
    here.queue.ping()
    return Upload(here.storage, here.settings.max_upload_bytes)


def _submit(upload: Upload, options: AnalysisOptions, email: str | None) -> JobView:
    here = backend()
    path = here.storage.workspace(upload.job_id).input_dir / upload.stored_name
    check_upload(path)
    created = now()
    record = JobRecord(
        id=upload.job_id,
        input_filename=upload.filename,
        input_path=str(path),
        options=options.to_dict(),
        created_at=created,
        retain_for_research=options.retain_results,
        email=email,
        expires_at=created + timedelta(hours=here.settings.results_expiry_hours),
    )
    here.storage.write_record(record)
    with queue_errors():
        here.queue.enqueue(record.id, record.to_json(), created.timestamp())
        if email:
            here.statistics.record_email(email)
    return get(record.id)


@queue_errors()
def get(job_id: str) -> JobView:
    """A job as it stands; a record that RQ contradicts is repaired first. Raises JobNotFound."""
    here = backend()
    snapshot = _snapshot(here, job_id)
    if contradicted(snapshot):
        repair(here.store, here.storage, job_id)
        snapshot = _snapshot(here, job_id)
    return view(snapshot, here.statistics.expected_seconds())


@queue_errors()
def recent(limit: int = 50) -> list[JobView]:
    """The newest jobs, newest first."""
    here = backend()
    expected = here.statistics.expected_seconds()
    places = {job_id: place for place, job_id in enumerate(here.store.waiting(), start=1)}
    return [
        view(Snapshot(record=record, position=places.get(record.id), rq_status=None), expected)
        for record in here.store.recent(limit)
    ]


def results_folder(job_id: str) -> Path:
    """The unpacked tree of the results zip. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    here = backend()
    _finished(here, job_id)
    folder = here.storage.workspace(job_id).files_dir
    if not folder.is_dir():
        raise _gone()
    return folder


def archive(job_id: str) -> tuple[Path, str]:
    """The results zip, and the name to download it under. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    here = backend()
    record = _finished(here, job_id)
    path = Path(record.result_path or "")
    if not record.result_path or not here.storage.holds(path):
        raise _gone()
    return path, record.archive_name


def artifact(job_id: str, name: str) -> Path:
    """One file of the results tree, by its relative name. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    folder = results_folder(job_id).resolve()
    try:
        path = (folder / name).resolve()
        if path.is_relative_to(folder) and path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file system takes
        pass
    raise ResultNotFound("There is no such file among the results.", hint="results.json lists what was measured.")


def measurements(job_id: str) -> list[dict[str, Any]]:
    """The tidy rows: quantity, method, structure, region, statistic, value (None: nothing to measure), unit, n.

    Raises JobNotFound, JobNotFinished, ResultNotFound.
    """
    _finished(backend(), job_id)
    try:
        rows = backend().storage.workspace(job_id).read_measurements("measurements")
    except FileNotFoundError:
        raise _gone() from None
    return [asdict(row) | {"value": row.value if math.isfinite(row.value) else None} for row in rows]


@queue_errors()
def cancel(job_id: str) -> JobView:
    """End a waiting or running job; its work stops within a second. Raises JobNotFound, JobConflict (it has ended)."""
    here = backend()
    here.storage.folder(job_id)

    def decide(record: JobRecord) -> dict[str, Any] | None:
        return None if record.status.final else ended(CANCELLED, "The job was cancelled.", "")

    record, cancelled = here.store.change(job_id, decide)
    if record is None:
        raise _not_found()
    if not cancelled:
        raise JobConflict(f"The job has already ended ({record.status}); expected one that waits or runs.")
    here.queue.stop(job_id)
    here.queue.remove(job_id)
    here.storage.remove_upload(job_id)
    here.storage.write_record(record)
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
        raise _not_found()
    if not before.status.final:
        raise JobConflict(f"The job is {before.status}; expected one that has ended.")
    chosen = parse_options(before.options, options or {})
    if not workspace.has("scan") and not Path(before.input_path).is_file():
        raise JobConflict("The upload of this job is no longer there.", hint="Upload the scan again.")
    expires_at = now() + timedelta(hours=here.settings.results_expiry_hours)
    after = replace(before, **reopened(before.attempt + 1, chosen, expires_at))
    here.queue.stop(job_id)
    here.queue.remove(job_id)
    workspace.discard("report")  # written again, with the manifest, which would otherwise say "complete" at once
    workspace.manifest_path.unlink(missing_ok=True)
    created = (before.created_at or now()).timestamp()
    if not here.queue.enqueue(job_id, after.to_json(), created, replaces=text):
        raise JobConflict("Somebody else has just changed this job.", hint="Look at it again.")
    here.storage.write_record(after)
    return get(job_id)


@queue_errors()
def delete(job_id: str) -> None:
    """Stop a job if it runs; remove its files and its record. Raises JobNotFound."""
    here = backend()
    here.storage.folder(job_id)
    record, _ = here.store.change(
        job_id, lambda record: None if record.status.final else ended(CANCELLED, "The job was deleted.", "")
    )
    if record is None:
        raise _not_found()
    here.queue.stop(job_id)
    here.queue.remove(job_id)
    here.storage.remove(job_id)
    here.store.delete(job_id)


@queue_errors()
def stats() -> dict[str, Any]:
    """total_jobs_processed, total_jobs_today, unique_users, average_processing_time_seconds, jobs_in_queue,
    uptime_hours.
    """
    here = backend()
    return here.statistics.summary(here.queue.length())


def _snapshot(here: Backend, job_id: str) -> Snapshot:
    here.storage.folder(job_id)
    snapshot = here.store.snapshot(job_id)
    if snapshot is None:
        raise _not_found()
    return snapshot


def _finished(here: Backend, job_id: str) -> JobRecord:
    here.storage.folder(job_id)
    with queue_errors():
        record = here.store.load(job_id)
    if record is None:
        raise _not_found()
    if record.status is not Status.COMPLETE:
        raise JobNotFinished(f"Job not complete. Current status: {record.status}.")
    return record


def _not_found() -> JobNotFound:
    return JobNotFound("Job not found.", hint="Check the job ID; jobs are deleted when they expire.")


def _gone() -> ResultNotFound:
    return ResultNotFound("The results of this job are no longer there.", hint="Upload the scan again.")

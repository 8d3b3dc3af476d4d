"""Run an ended job again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from jobs.control.work import stop_work
from jobs.errors import JobConflict
from jobs.intake.form import parse_options
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.lifecycle import reopened
from jobs.state.model import JobRecord, JobView
from jobs.state.queue import queue_errors
from jobs.state.storage import Storage
from jobs.views.reading import get, not_found
from pipeline.correction import LABELS_NAME
from pipeline.options import OUTLINE_OPTIONS, READING_OPTIONS, AnalysisOptions
from pipeline.products import DELIVERY, LABEL_MAP, SCAN


@queue_errors()
def retry(job_id: str, options: Mapping[str, object] | None = None) -> JobView:
    """Run an ended job again; `options` holds the options to change. Steps with unchanged input are not run again.

    Raises JobNotFound, JobConflict (it has not ended, its scan has been deleted, or the changed options need the
    upload), InvalidForm.
    """
    backend = open_backend()
    workspace = backend.storage.newest_workspace(job_id)
    before, text = backend.store.load_text(job_id)
    if before is None:
        raise not_found()
    if not before.status.final:
        raise JobConflict(f"The job is {before.status}; expected one that has ended.")
    chosen = parse_options(before.options, options or {})
    require_input(backend.storage, before, chosen)
    expires_at = now() + timedelta(hours=backend.settings.results_expiry_hours)
    after = replace(before, **reopened(before.attempt + 1, chosen, expires_at))
    if not stop_work(backend, job_id):
        raise JobConflict("The previous run of this job is still stopping.", hint="Try again in a few seconds.")
    DELIVERY.discard(workspace)  # an old manifest would mark the job as complete
    if not backend.queue.enqueue(after, replaces=text):
        raise JobConflict("Another request has just changed this job.", hint="Reload the job and try again.")
    backend.storage.write_record(after)
    return get(job_id)


def require_input(storage: Storage, record: JobRecord, chosen: AnalysisOptions) -> None:
    """Raise JobConflict if a job cannot run with these options because its scan or its upload has been deleted."""
    if not has_input(storage, record):
        raise JobConflict("The scan of this job has been deleted.", hint="Upload the scan again.")
    before = AnalysisOptions.from_dict(record.options)
    fixed = [name for name in OUTLINE_OPTIONS if getattr(chosen, name) != getattr(before, name)]
    if record.corrected and fixed:
        raise JobConflict(
            f"{' and '.join(fixed)} cannot be changed: the outlines of this version were corrected by a reader.",
            hint="Run version 1 again with other options, and correct the result.",
        )
    changed = [name for name in READING_OPTIONS if getattr(chosen, name) != getattr(before, name)]
    if changed and record.input_path and storage.file_of(record.id, record.input_path) is None:
        verb = "is" if len(changed) == 1 else "are"
        raise JobConflict(
            f"{' and '.join(changed)} {verb} used while the upload is read, and the upload of this job has been "
            "deleted; expected the values of the job itself.",
            hint=f"Upload the scan again to change {' and '.join(changed)}, or run the job again without them.",
        )


def can_retry(job_id: str) -> bool:
    """Whether the scan of a job still exists. When a job ends, its upload is deleted, but not the scan read from it."""
    backend = open_backend()
    record = backend.storage.read_record(job_id)
    return record is not None and has_input(backend.storage, record)


def has_input(storage: Storage, record: JobRecord) -> bool:
    """Whether scan and label map of a job can still be read, from the upload or from what was read from it."""
    workspace = storage.newest_workspace(record.id)
    needed = ((record.input_path or not record.labels_path, SCAN), (record.labels_path, LABEL_MAP))
    if record.corrected and not (workspace.work_dir / LABELS_NAME).is_file():
        return False
    return all(
        product.exists(workspace) or storage.file_of(record.id, str(path)) is not None
        for path, product in needed
        if path
    )

"""Run an ended job again as another job, for a second result from the same scan."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jobs.control.retrying import require_input
from jobs.errors import JobConflict
from jobs.intake.form import parse_options
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.lifecycle import reopened
from jobs.state.model import JobView
from jobs.state.queue import queue_errors
from jobs.state.storage import INPUT_DIR, link_files
from jobs.views.reading import get, not_found
from pipeline.workspace import Workspace


@queue_errors()
def copy(job_id: str, options: Mapping[str, object] | None = None) -> JobView:
    """Queue another job with the scan of an ended one; `options` holds the options to change.

    Steps with unchanged input are not run again. The ended job keeps its results.
    Raises JobNotFound, JobConflict (it has not ended, its scan has been deleted, or the changed options need the
    upload), InvalidForm.
    """
    backend = open_backend()
    backend.queue.ping()
    source = backend.storage.newest_workspace(job_id)
    before = backend.store.load_text(job_id)[0]
    if before is None:
        raise not_found()
    if not before.status.final:
        raise JobConflict(f"The job is {before.status}; expected one that has ended.")
    chosen = parse_options(before.options, options or {})
    require_input(backend.storage, before, chosen)
    target = backend.storage.folder(str(uuid.uuid4()))
    created = now()
    expires_at = created + timedelta(hours=backend.settings.results_expiry_hours)
    record = replace(
        before,
        **reopened(0, chosen, expires_at),
        id=target.name,
        created_at=created,
        input_path=stored_input(before.input_path),
        labels_path=stored_input(before.labels_path),
        version_of="",
        version=1,
        base_version=0,
    )
    # a folder in jobs/ must be complete: it is made under another name
    partial = Workspace(backend.storage.root / "incoming" / record.id)
    for folder in (source.work_dir, source.input_dir):
        if folder.is_dir():
            (partial.root / folder.name).mkdir(parents=True)
            link_files(folder, partial.root / folder.name)
    backend.storage.write_record(record, partial.root)
    partial.root.rename(target)
    backend.queue.enqueue(record)
    return get(record.id)


def stored_input(path: str) -> str:
    """The path of an input file in the record of a job that was made from another one."""
    return f"{INPUT_DIR}/{Path(path).name}" if path else ""

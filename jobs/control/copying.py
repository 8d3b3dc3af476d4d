"""Run an ended job again as another job, for a second result from the same scan."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jobs.control.retrying import require_input
from jobs.errors import JobConflict
from jobs.intake.form import parse_options
from jobs.state.backend import open_backend
from jobs.state.lifecycle import reopened
from jobs.state.model import JobView, now
from jobs.state.queue import queue_errors
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
    source = backend.storage.workspace(job_id)
    before = backend.store.load_text(job_id)[0]
    if before is None:
        raise not_found()
    if not before.status.final:
        raise JobConflict(f"The job is {before.status}; expected one that has ended.")
    chosen = parse_options(before.options, options or {})
    require_input(source, before, chosen)
    target = backend.storage.workspace(str(uuid.uuid4()))
    created = now()
    expires_at = created + timedelta(hours=backend.settings.results_expiry_hours)
    record = replace(
        before,
        **reopened(0, chosen, expires_at),
        id=target.root.name,
        created_at=created,
        input_path=_moved(before.input_path, target),
        labels_path=_moved(before.labels_path, target),
    )
    # a folder in jobs/ must be complete: it is made under another name
    partial = Workspace(backend.storage.root / "incoming" / record.id)
    for folder in (source.work_dir, source.input_dir):
        if folder.is_dir():
            # files are replaced, never changed in place: both jobs can share them
            shutil.copytree(folder, partial.root / folder.name, copy_function=os.link)
    backend.storage.write_record(record, partial.root)
    partial.root.rename(target.root)
    backend.queue.enqueue(record)
    return get(record.id)


def _moved(path: str, workspace: Workspace) -> str:
    return str(workspace.input_dir / Path(path).name) if path else ""

"""Copies of results for research, only with the consent of the uploader."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

from jobs.state.model import JobRecord, Status
from jobs.state.storage import Storage
from pipeline.results_tree import ARTIFACTS


def keep_for_research(storage: Storage, record: JobRecord) -> Path | None:
    """Copy a complete job's labels, surfaces and measurements to research/<random id>/, with consent only.

    The random id cannot be traced to the job. Returns the folder or None.
    """
    if record.status is not Status.COMPLETE or not record.retain_for_research:
        return None
    source = storage.workspace(record.id, record.attempt).files_dir
    target = storage.root / "research" / uuid4().hex
    partial = target.with_name(f".{target.name}.part")
    partial.mkdir(parents=True)
    for path in (path for artifact in ARTIFACTS if artifact.research for path in artifact.found(source)):
        kept = partial / path.relative_to(source)
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, kept)
    return partial.rename(target)

"""Copies of results kept for research, with the consent of the person who uploaded the scan only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final
from uuid import uuid4

from jobs.state.model import JobRecord, Status
from jobs.state.storage import Storage

KEPT_FOR_RESEARCH: Final = ("segmentation", "surfaces", "results.csv", "results.json")
"""Labels, surfaces and measurements; never voxels, pictures of them, or the digest of the upload."""


def keep_for_research(storage: Storage, record: JobRecord) -> Path | None:
    """Copy a complete job's labels, surfaces and measurements to research/<random id>/, with consent only.

    The random id cannot be traced to the job. -> the folder, or None.
    """
    if record.status is not Status.COMPLETE or not record.retain_for_research:
        return None
    source = storage.workspace(record.id).files_dir
    target = storage.root / "research" / uuid4().hex
    partial = target.with_name(f".{target.name}.part")
    partial.mkdir(parents=True)
    for name in KEPT_FOR_RESEARCH:
        if (source / name).is_dir():
            shutil.copytree(source / name, partial / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, partial / name)
    return partial.rename(target)

"""Copies of results for research: only where the operator allows them and the uploader has consented.

A copy is named by a random id. Only the job's own folder holds the id, so a copy can be deleted with its job, and
cannot be traced to it once the job has expired.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from jobs.settings import Settings
from jobs.state.model import JobRecord, Status
from jobs.state.storage import Storage
from pipeline.results_tree import ARTIFACTS

ID_FILE: Final = "research_copy"
"""File in the job's folder with the id of its copy."""

DAY_S: Final = 86_400.0


def keep_for_research(settings: Settings, storage: Storage, record: JobRecord) -> Path | None:
    """Copy a complete job's labels, surfaces and measurements to research/<random id>/, once.

    Returns the folder, or None without RESEARCH_COPIES or without consent.
    """
    if not settings.research_copies or record.status is not Status.COMPLETE or not record.retain_for_research:
        return None
    source = storage.workspace(record.id, record.attempt).files_dir
    target = storage.research / (_copy_id(storage, record.id) or _new_id(storage, record.id))
    if target.is_dir():
        return target
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in (path for artifact in ARTIFACTS if artifact.research for path in artifact.found(source)):
        kept = partial / path.relative_to(source)
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, kept)
    return partial.rename(target)


def remove_copy_of(storage: Storage, job_id: str) -> None:
    """Delete the copy of a job that still exists."""
    copy_id = _copy_id(storage, job_id)
    if copy_id is not None:
        shutil.rmtree(storage.research / copy_id, ignore_errors=True)


def copies(storage: Storage) -> list[str]:
    """Ids of all copies."""
    return sorted(path.name for path in storage.research.glob("[!.]*") if path.is_dir())


def remove_copies(storage: Storage, older_than_days: float = 0.0) -> list[str]:
    """Delete the copies, or the older ones only. Returns their ids."""
    gone = []
    for name in copies(storage):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - (storage.research / name).stat().st_mtime >= older_than_days * DAY_S:
                shutil.rmtree(storage.research / name)
                gone.append(name)
    return gone


def _new_id(storage: Storage, job_id: str) -> str:
    copy_id = uuid4().hex
    (storage.folder(job_id) / ID_FILE).write_text(copy_id, encoding="ascii")
    return copy_id


def _copy_id(storage: Storage, job_id: str) -> str | None:
    """None without a copy; a file that holds no id is ignored."""
    try:
        return UUID((storage.folder(job_id) / ID_FILE).read_text(encoding="ascii")).hex
    except (OSError, ValueError):
        return None

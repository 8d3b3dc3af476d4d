"""What stays and what goes: expired jobs are deleted, and results kept for research only where their user said so."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from jobs import service
from jobs.backend import backend
from jobs.errors import JobNotFound, QueueUnavailable
from jobs.model import JobRecord, Status, now
from jobs.queue import queue_errors
from jobs.storage import Storage

KEPT_FOR_RESEARCH: Final = ("segmentation", "surfaces", "results.csv", "results.json")
"""Labels, surfaces and measurements; never voxels, pictures of them, or the digest of the upload."""

log = logging.getLogger(__name__)


def purge_expired() -> list[str]:
    """Delete every finished job whose time is over: files, record and artifacts. -> their ids.

    A folder whose record Redis no longer has goes by its own job.json. Without Redis nothing is deleted.
    """
    gone: list[str] = []
    try:
        here = backend()
    except QueueUnavailable:
        return gone
    for path in here.storage.record_paths():
        job_id = path.parent.name
        if not _expired(path):
            continue
        try:
            with queue_errors():
                record = here.store.load(job_id)
            if record is not None and not record.status.final:
                continue
            service.delete(job_id)
        except JobNotFound:
            here.storage.remove(job_id)
        except QueueUnavailable:
            break
        gone.append(job_id)
        log.info("job %s: expired and deleted", job_id)
    return gone


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


def _expired(path: Path) -> bool:
    """Whether the time in a job.json is over; an unreadable one is left to the operator."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        moment = data.get("expires_at")
        return bool(moment) and datetime.fromisoformat(str(moment)) < now()
    except (OSError, ValueError):
        return False

"""Restores a backup into an empty queue and a data directory without jobs, which may be at another path."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from jobs.backup.access import restore_access
from jobs.backup.containers import disk_errors, unpack
from jobs.backup.format import KEYS, RECORDS, RESEARCH, SUMMARY, Summary, read_summary
from jobs.backup.studies import restore_studies
from jobs.errors import BackupInvalid, JobConflict, JobNotFound
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.data_dir import claim_data_dir
from jobs.state.lifecycle import queued_again
from jobs.state.model import JobRecord
from jobs.state.queue import queue_errors
from jobs.state.statistics import SECRET_NAME
from jobs.studies.folder import study_folders

UNPACKED: Final = "restoring"
"""Prefix of the folder in DATA_DIR into which a backup is unpacked."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """Number of restored jobs; of them, those that were queued, and those that have expired since the backup; number of
    restored studies.
    """

    jobs: int
    queued: int
    expired: int
    made_at: str
    studies: int = 0


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A job of the backup. folder: its files, which may not exist."""

    record: JobRecord
    folder: Path

    @property
    def is_open(self) -> bool:
        return self.record.ours and not self.record.status.final


@queue_errors()
@disk_errors()
def restore(backup: Path) -> Restored:
    """Restore all jobs, files and statistics of a backup; jobs that were running are queued again.

    Raises BackupInvalid, BackupFailed, JobConflict if there are jobs or statistics, QueueUnavailable.
    """
    backend = open_backend()
    _require_empty(backend)
    unpacked = backend.storage.root / f"{UNPACKED}.{uuid4().hex}"
    try:
        files, size_bytes = unpack(backup, unpacked)
        summary = read_summary(unpacked)
        if (files - 1, size_bytes - (unpacked / SUMMARY).stat().st_size) != (summary.files, summary.size_bytes):
            raise BackupInvalid(f"The backup has {files - 1} files; expected {summary.files}, as {SUMMARY} states.")
        jobs = _in_order(_jobs(unpacked), summary)
        backend.statistics.restore(json.loads((unpacked / KEYS).read_text(encoding="utf-8")))
        _move_shared(backend, unpacked)
        restore_access(unpacked, backend.storage.root)
        for job in jobs:
            _restore_job(backend, job)
        studies = restore_studies(backend, unpacked)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    moment = now()
    ends = [job.record.expires_at for job in jobs]
    return Restored(
        jobs=len(jobs),
        queued=sum(job.is_open for job in jobs),
        expired=sum(end is not None and end < moment for end in ends),
        made_at=summary.made_at,
        studies=studies,
    )


def _require_empty(backend: Backend) -> None:
    """Raises JobConflict."""
    if not claim_data_dir(backend.client, backend.storage):
        raise JobConflict(
            "The data directory is not that of this queue; expected one without jobs, and an empty queue.",
            hint="Set DATA_DIR and REDIS_URL, or run `python -m jobs adopt`.",
        )
    found = {
        "jobs in the queue's records": len(backend.store.ids()),
        "job folders": len(backend.storage.job_ids()),
        "completed jobs in the statistics": backend.statistics.total(),
        "studies": len(study_folders(backend.settings.data_dir)),
    }
    if any(found.values()):
        counts = ", ".join(f"{count} {what}" for what, count in found.items() if count)
        raise JobConflict(
            f"Found {counts}; a backup is restored only into an empty queue and a data directory without jobs.",
            hint="Choose another DATA_DIR, and another queue.",
        )


def _jobs(unpacked: Path) -> Iterator[_Job]:
    """Raises BackupInvalid."""
    try:
        for line in (unpacked / RECORDS).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            folder = (unpacked / entry["folder"]).resolve()
            if not folder.is_relative_to(unpacked.resolve()):
                raise BackupInvalid(f"{RECORDS} names a folder outside the backup.")
            yield _Job(record=JobRecord.from_json(json.dumps(entry["record"])), folder=folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupInvalid(f"{RECORDS} cannot be read ({type(error).__name__}).") from error


def _in_order(jobs: Iterator[_Job], summary: Summary) -> list[_Job]:
    """Ended jobs, then those that were running, then the waiting ones in their order."""
    places = {job_id: place for place, job_id in enumerate(summary.queue_order)}
    return sorted(jobs, key=lambda job: (job.is_open, places.get(job.record.id, -1)))


def _move_shared(backend: Backend, unpacked: Path) -> None:
    storage = backend.storage
    with contextlib.suppress(FileNotFoundError):
        (unpacked / SECRET_NAME).replace(storage.root / SECRET_NAME)
    storage.research.mkdir(exist_ok=True)
    for folder in (unpacked / RESEARCH).glob("*"):
        target = storage.research / folder.name
        written_s = max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)
        os.utime(folder, (written_s, written_s))  # the copy expires by its age
        if not target.exists():
            folder.rename(target)


def _restore_job(backend: Backend, job: _Job) -> None:
    """The folder comes first: a record without its folder counts as deleted."""
    try:
        target = backend.storage.folder(job.record.id)
    except JobNotFound:
        raise BackupInvalid(f"{RECORDS} contains an invalid job id.") from None
    if job.folder.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        job.folder.rename(target)
    if job.is_open:
        backend.queue.enqueue(replace(job.record, **queued_again()))
    else:
        backend.store.add_ended(job.record)

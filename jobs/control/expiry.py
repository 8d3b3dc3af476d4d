"""Delete expired jobs and abandoned files."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jobs.access import audit
from jobs.access.audit import Act
from jobs.access.held import HeldKind
from jobs.control.cancelling import delete
from jobs.control.study_deleting import remove_expired_studies
from jobs.errors import JobNotFound, QueueUnavailable
from jobs.intake.scans import remove_expired_scans
from jobs.intake.uploads import remove_abandoned
from jobs.settings import load_settings
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.disk_use import note_disk_use
from jobs.state.model import read_time
from jobs.state.queue import queue_errors
from jobs.state.research import remove_copies
from jobs.state.storage import Storage

LEFTOVER_S: Final = 3600.0
"""Age from which unfinished files are abandoned."""

READ_INTERVAL_S: Final = 60.0
"""Interval for reading all records (10,000: some tenths of a second); the folders are listed every time."""

COMPACT_INTERVAL_S: Final = 20.0
"""Minimum interval for rewriting the queue's log on disk."""

log = logging.getLogger(__name__)


class Expiry:
    """Caches the expiry time of each job, so that a pass only lists the folders."""

    def __init__(self) -> None:
        self._ends: dict[str, datetime] = {}
        self._compacted_at = float("-inf")
        self._read_at = float("-inf")

    def expired(self, storage: Storage) -> list[str]:
        """Ids of expired jobs, by their job.json, or by its age if it has no expiry time.

        Only new and due jobs are read: a restarted job expires later.
        """
        moment, known, self._ends = now(), self._ends, {}
        over = []
        for job_id in storage.job_ids():
            ends = known.get(job_id)
            if ends is None or ends < moment:
                ends = _end_of(storage.folder(job_id) / "job.json")
            if ends is None:
                continue
            self._ends[job_id] = ends
            if ends < moment:
                over.append(job_id)
        return over

    def purge(self) -> list[str]:
        """Delete every expired job, including waiting ones: files, record, artifacts. Returns their ids.

        A folder without a record in Redis expires by its job.json, unfinished files by their age. Without Redis nothing
        is deleted. Does not raise.
        """
        gone: list[str] = []
        try:
            backend = open_backend()
            storage = backend.storage
            for job_id in self.expired(storage):
                try:
                    delete(job_id, with_research_copy=False)
                except JobNotFound:
                    if storage.folder_is_missing(job_id):
                        continue  # another worker has deleted it
                    storage.remove(job_id)
                _note(job_id)
                gone.append(job_id)
                log.info("job %s: expired and deleted", job_id)
            gone += self._by_record(backend)
            for study_id in remove_expired_studies(backend):
                log.info("study %s: expired and deleted", study_id)
            remove_abandoned(storage)
            remove_expired_scans(storage)
            for _ in remove_copies(storage, backend.settings.research_expiry_days):
                log.info("a copy for research: expired and deleted")
            self._remove_leftovers(storage)
            self._compact_log(backend)
            self._note_disk_use(backend)
        except (QueueUnavailable, OSError) as error:
            log.warning("not all expired jobs were deleted (%s)", type(error).__name__)
        return gone

    @queue_errors()
    def _by_record(self, backend: Backend) -> list[str]:
        """Delete the jobs that have expired by their record, for example without a folder. Returns their ids."""
        moment = time.monotonic()
        if moment - self._read_at < READ_INTERVAL_S:
            return []
        self._read_at = moment
        gone = []
        for job_id, record in backend.store.index_open().items():
            ends = None if record is None else record.expires_at
            if ends is not None and ends < now():
                with contextlib.suppress(JobNotFound):
                    delete(job_id, with_research_copy=False)
                    _note(job_id)
                    gone.append(job_id)
        return gone

    def _remove_leftovers(self, storage: Storage) -> None:
        """Delete old job folders without job.json, and old incomplete copies and comparisons."""
        oldest = time.time() - LEFTOVER_S
        bare = [storage.folder(job_id) for job_id in storage.job_ids() if job_id not in self._ends]
        cut_short = (*storage.research.glob(".*.part"), *storage.comparisons.glob(".*.part"))
        for path in (*bare, *cut_short):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest and not (path / "job.json").exists():
                    shutil.rmtree(path)
                    log.info("%s: incomplete, deleted", path.name)

    @queue_errors()
    def _compact_log(self, backend: Backend) -> None:
        moment = time.monotonic()
        if moment - self._compacted_at > COMPACT_INTERVAL_S:
            self._compacted_at = moment
            backend.store.compact_log()

    @queue_errors()
    def _note_disk_use(self, backend: Backend) -> None:
        note_disk_use(backend.client, backend.storage)


def _note(job_id: str) -> None:
    audit.note_of_server(Act.DELETED, f"{HeldKind.JOB}:{job_id}", "expired")


def purge_expired() -> list[str]:
    """Delete every expired job, once. Returns their ids."""
    return Expiry().purge()


def expired_now() -> list[str]:
    """Ids of the jobs that `purge_expired` would delete."""
    return Expiry().expired(open_backend().storage)


def _end_of(path: Path) -> datetime | None:
    """The expiry time of a job in its job.json; None if it has none."""
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        ends = read_time(data.get("expires_at"))
    except OSError:
        return None
    except (ValueError, AttributeError):
        ends = None
    return ends or written + timedelta(hours=load_settings().results_expiry_hours)

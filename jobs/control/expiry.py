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

from jobs.control.cancelling import delete
from jobs.errors import JobConflict, JobNotFound, QueueUnavailable
from jobs.intake.scans import remove_forgotten
from jobs.intake.uploads import remove_abandoned
from jobs.settings import load_settings
from jobs.state.backend import Backend, open_backend
from jobs.state.model import now, read_time
from jobs.state.queue import queue_errors
from jobs.state.storage import Storage

LEFTOVER_S: Final = 3600.0
"""What is older and half-done belongs to nobody."""

READ_EVERY_S: Final = 60.0
"""How often all records are read (10,000: some tenths of a second); the folders are listed every time."""

FORGET_EVERY_S: Final = 20.0
"""How often the queue's log on disk may be written anew."""

log = logging.getLogger(__name__)


class Expiry:
    """Remembers when each job's time is over, so that a look costs one listing of the folders."""

    def __init__(self) -> None:
        self._ends: dict[str, datetime] = {}
        self._forgot_at = float("-inf")
        self._read_at = float("-inf")

    def expired(self, storage: Storage) -> list[str]:
        """Ids of the jobs whose time is over, by their job.json, or by its age where it does not say.

        Read are those that are new, and those that are due: a job that was started again has more time.
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
        """Delete every job whose time is over, also one that still waits: files, record, artifacts. -> their ids.

        A folder whose record Redis no longer has goes by its own job.json; what was left half-done goes by its age.
        Without Redis nothing is deleted. Does not raise.
        """
        gone: list[str] = []
        try:
            backend = open_backend()
            storage = backend.storage
            for job_id in self.expired(storage):
                try:
                    delete(job_id)
                except JobNotFound:
                    storage.remove(job_id)
                except JobConflict:  # its work has not stopped yet: the next look
                    continue
                gone.append(job_id)
                log.info("job %s: expired and deleted", job_id)
            gone += self._by_record(backend)
            remove_abandoned(storage)
            remove_forgotten(storage)
            self._remove_leftovers(storage)
            self._forget(backend)
        except (QueueUnavailable, OSError) as error:
            log.warning("expired jobs were not all deleted (%s)", type(error).__name__)
        return gone

    @queue_errors()
    def _by_record(self, backend: Backend) -> list[str]:
        """Delete the jobs whose record says that their time is over, for example one without a folder. -> their ids."""
        moment = time.monotonic()
        if moment - self._read_at < READ_EVERY_S:
            return []
        self._read_at = moment
        gone = []
        for job_id, record in backend.store.index_open().items():
            ends = None if record is None else record.expires_at
            if ends is not None and ends < now():
                with contextlib.suppress(JobNotFound, JobConflict):
                    delete(job_id)
                    gone.append(job_id)
        return gone

    def _remove_leftovers(self, storage: Storage) -> None:
        """Folders of jobs without job.json, and copies and comparisons that were cut short, when they are old."""
        oldest = time.time() - LEFTOVER_S
        bare = [storage.folder(job_id) for job_id in storage.job_ids() if job_id not in self._ends]
        cut_short = (*(storage.root / "research").glob(".*.part"), *storage.comparisons.glob(".*.part"))
        for path in (*bare, *cut_short):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest and not (path / "job.json").exists():
                    shutil.rmtree(path)
                    log.info("%s: left half-done, deleted", path.name)

    @queue_errors()
    def _forget(self, backend: Backend) -> None:
        moment = time.monotonic()
        if moment - self._forgot_at > FORGET_EVERY_S:
            self._forgot_at = moment
            backend.store.forget()


def purge_expired() -> list[str]:
    """Delete every job whose time is over, once. -> their ids."""
    return Expiry().purge()


def expired_now() -> list[str]:
    """Ids of the jobs that `purge_expired` would delete."""
    return Expiry().expired(open_backend().storage)


def _end_of(path: Path) -> datetime | None:
    """When the time of a job is over, by its job.json; None where there is none."""
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        ends = read_time(data.get("expires_at"))
    except OSError:
        return None
    except (ValueError, AttributeError):
        ends = None
    return ends or written + timedelta(hours=load_settings().results_expiry_hours)

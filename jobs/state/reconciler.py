"""Keeps records, queue, running work and folders of jobs consistent: compares them every few seconds, repairs
differences.

When a process or a server is killed, these can disagree: work that ended without a final record, a queue entry that a
worker took but never started, a record without a queue entry, a server that lost its last second of writes. A change
made here is rejected if the record has changed since it was read, so that several reconcilers and workers can run at
the same time.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from jobs.errors import QueueUnavailable
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.data_dir import claim_data_dir
from jobs.state.ending import finish_job
from jobs.state.faults import FaultKind
from jobs.state.lifecycle import ending_on_disk, interrupted
from jobs.state.model import JobRecord, Status
from jobs.state.queue import HEARTBEAT_MISSED, queue_errors
from jobs.state.work_lock import Work

CONFIRM_AFTER_S: Final = 4.0
"""States that also occur between queue and work are repaired only if they persist for this time."""

FULL_INTERVAL_S: Final = 300.0
"""Interval for checking all records and folders, not only open ones; also done at the start and after a server restart.
"""

SUBMISSION_GRACE_S: Final = 10.0
"""A younger folder may be a submission that has not been queued yet."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One repair. what: description for the operator."""

    job_id: str
    what: str


def reconcile() -> list[Repair]:
    """Run a full pass, and a second one after some seconds if necessary. Raises QueueUnavailable."""
    reconciler = Reconciler(open_backend())
    repairs = reconciler.reconcile()
    if reconciler.has_unconfirmed:
        time.sleep(CONFIRM_AFTER_S)
        repairs += reconciler.reconcile()
    return repairs


@queue_errors()
def repair_job(backend: Backend, job_id: str) -> Repair | None:
    """Repair one job that has ended in RQ or is unknown to it. Raises QueueUnavailable."""
    return _close_or_requeue(backend, job_id) or _requeue(backend, job_id)


class Reconciler:
    """Remembers unconfirmed states from one pass to the next."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen: dict[str, float] = {}
        self._consistent: set[str] = set()
        self._server = ""
        self._full_at = float("-inf")

    @property
    def has_unconfirmed(self) -> bool:
        """Whether there are states that need confirmation by another pass."""
        return bool(self._seen)

    def reconcile_safely(self) -> None:
        """One pass, unless another worker is making one; never raises. Workers call it every few seconds."""
        token = uuid4().hex
        try:
            with queue_errors():
                if not self._backend.queue.acquire_reconciling_lock(token):
                    return
                try:
                    self.reconcile()
                finally:
                    self._backend.queue.release_reconciling_lock(token)
        except QueueUnavailable as error:
            log.info("not reconciled: %s", error.message)
        except Exception:  # a maintenance task must not end the worker
            log.exception("reconciling failed")

    def ignore_interruption(self, job_id: str) -> None:
        """Do not count the interruption of a job by a requested stop of its worker as a lost attempt."""
        try:
            with queue_errors():
                self._backend.store.change(
                    job_id,
                    lambda record: None if record.status.final else {"lost_attempts": record.lost_attempts - 1},
                )
        except QueueUnavailable as error:
            log.info("job %s: %s", job_id, error.message)

    @queue_errors()
    def reconcile(self) -> list[Repair]:
        """One pass; returns the repairs. Raises QueueUnavailable."""
        server, _ = self._backend.queue.server()
        if not claim_data_dir(self._backend.client, self._backend.storage):
            return []  # the folders to compare with are missing
        full = server != self._server or time.monotonic() - self._full_at > FULL_INTERVAL_S
        repairs: list[Repair] = []
        if full:
            if server != self._server:
                self._consistent.clear()
            repairs += self._folders()
        repairs += self._entries()
        repairs += self._open_jobs(everything=full)
        repairs += self._leftovers()
        self._backend.queue.remove_dead_workers()
        if full:
            self._backend.storage.finish_removals()
            self._backend.queue.remove_old_results()
            self._server, self._full_at = server, time.monotonic()
        for item in repairs:
            log.warning("job %s: %s", item.job_id, item.what)
        return repairs

    def _folders(self) -> list[Repair]:
        """Repair jobs whose folders have more recent states than their records."""
        records = self._backend.store.index_open()
        found = []
        for job_id in self._backend.storage.job_ids():
            if job_id not in records:
                found.append(_rebuild(self._backend, job_id))
            elif job_id not in self._consistent:
                record = records[job_id]
                if record is not None and record.status.final:
                    found.append(_complete_ending(self._backend, job_id))
                    self._consistent.add(job_id)
        return _not_none(found)

    def _entries(self) -> list[Repair]:
        """Repair queue entries that are obsolete or cannot run."""
        waiting = Counter(self._backend.queue.waiting())
        for job_id, entries in waiting.items():
            if entries > 1:
                self._backend.queue.drop_repeats(job_id, entries)
        closed = waiting.keys() - set(self._backend.store.open_ids())
        found = [_remove_orphaned_entry(self._backend, job_id) for job_id in closed]
        known = self._backend.queue.runnable(list(waiting))
        found += [_requeue(self._backend, job_id) for job_id, runnable in known.items() if not runnable]
        return _not_none(found)

    def _open_jobs(self, *, everything: bool) -> list[Repair]:
        """Repair open jobs whose work has ended, or that are not queued."""
        waiting = set(self._backend.queue.waiting())
        ids = self._backend.store.open_ids()
        found = [_close_or_requeue(self._backend, job_id) for job_id in ids if job_id not in waiting or everything]
        queued = [job_id for job_id in ids if job_id not in waiting and _is_queued(self._backend, job_id)]
        found += [_requeue(self._backend, job_id) for job_id in self._confirmed(Status.QUEUED, queued)]
        return _not_none(found)

    def _leftovers(self) -> list[Repair]:
        """Remove RQ's data of ended jobs."""
        gone = {*self._backend.queue.taken(), *self._backend.queue.started()} - set(self._backend.store.open_ids())
        for job_id in self._confirmed("ended", gone):
            self._backend.queue.remove(job_id)
        return []

    def _confirmed(self, kind: str, job_ids: Iterable[str]) -> list[str]:
        """The jobs that were already in state `kind` CONFIRM_AFTER_S ago."""
        moment = time.monotonic()
        before = {key: seen for key, seen in self._seen.items() if key.startswith(f"{kind} ")}
        ripe = []
        for job_id in job_ids:
            seen = before.pop(f"{kind} {job_id}", None)
            if seen is not None and moment - seen >= CONFIRM_AFTER_S:
                ripe.append(job_id)
                self._seen.pop(f"{kind} {job_id}")
            else:
                self._seen[f"{kind} {job_id}"] = moment if seen is None else seen
        for key in before:
            self._seen.pop(key)
        return ripe


def is_in_progress(backend: Backend, job_id: str) -> bool:
    """Whether a job is being worked on: by the lock on this machine, else by the last heartbeat."""
    work = backend.storage.work_lock(job_id).state()
    if work is not Work.UNKNOWN:
        return work is Work.ALIVE
    # a restarted server may have lost a heartbeat: wait for the next one
    return (
        backend.queue.heartbeat_of(job_id) is not None or backend.queue.server()[1] < HEARTBEAT_MISSED.total_seconds()
    )


def _close_or_requeue(backend: Backend, job_id: str) -> Repair | None:
    """End or requeue an open job whose work has ended."""
    record, text = backend.store.load_text(job_id)
    if record is None or record.status.final:
        backend.store.close(job_id)
        return None
    if not record.ours or is_in_progress(backend, job_id):
        return None
    ending = ending_on_disk(backend.storage, record)
    if ending is None:
        if record.status is Status.QUEUED:
            return None
        ending = interrupted(record)
        if ending["status"] is Status.QUEUED:
            return _enqueue(backend, replace(record, **ending), text, "its work was interrupted: queued again")
    ended, written = backend.store.change(job_id, lambda current: ending if current == record else None)
    if not written or ended is None:
        return None
    backend.queue.remove(job_id)
    finish_job(backend, ended)
    return Repair(job_id=job_id, what=f"its work had ended: {ended.error_code or ended.status}")


def _requeue(backend: Backend, job_id: str) -> Repair | None:
    """Requeue a waiting job without an entry."""
    record, text = backend.store.load_text(job_id)
    if record is None or not record.ours or record.status is not Status.QUEUED or is_in_progress(backend, job_id):
        return None
    return _enqueue(backend, record, text, "it was not queued: queued again")


def _enqueue(backend: Backend, record: JobRecord, replaces: str | None, what: str) -> Repair | None:
    written = backend.queue.enqueue(record, replaces=replaces, at_front=_precedes(record))
    return Repair(job_id=record.id, what=what) if written else None


def _precedes(record: JobRecord) -> bool:
    """Whether an interrupted job waits before all others; after a lack of memory it lets others try first."""
    return record.lost_attempts > 0 or record.fault not in ("", FaultKind.OUT_OF_MEMORY)


def _remove_orphaned_entry(backend: Backend, job_id: str) -> Repair | None:
    """Remove a queue entry whose job is not open."""
    record = backend.store.load(job_id)
    if record is not None and not record.status.final:
        backend.store.change(job_id, lambda _: {})  # open, but not in the index
        return None
    backend.queue.remove(job_id)
    rebuilt = _rebuild(backend, job_id) if record is None else None
    return rebuilt or Repair(job_id=job_id, what="a queue entry without an open job: removed")


def _rebuild(backend: Backend, job_id: str) -> Repair | None:
    """Restore a lost record from job.json."""
    written = backend.storage.read_record(job_id)
    if written is None or written.id != job_id or _age_s(written) < SUBMISSION_GRACE_S:
        return None
    if written.status.final:
        known = backend.store.add_ended(written)
        return Repair(job_id=job_id, what=f"its record was missing: {written.status}") if known else None
    waiting = replace(written, status=Status.QUEUED, started_at=None)
    return _enqueue(backend, waiting, None, "its record was missing: queued again")


def _age_s(record: JobRecord) -> float:
    """Seconds since the submission."""
    return 0.0 if record.created_at is None else (now() - record.created_at).total_seconds()


def _complete_ending(backend: Backend, job_id: str) -> Repair | None:
    """Repair an ended job whose folder has no final job.json."""
    written = backend.storage.read_record(job_id)
    record, text = backend.store.load_text(job_id)
    if record is None or written is None or not record.status.final or written.status.final:
        return None
    if written.attempt > record.attempt:
        return _enqueue(backend, written, text, "its restart was lost: queued again")
    backend.statistics.record_end(record)  # counted only once
    backend.storage.remove_upload(job_id)
    backend.storage.write_record(record)
    return Repair(job_id=job_id, what="its end was missing in its folder")


def _is_queued(backend: Backend, job_id: str) -> bool:
    record = backend.store.load(job_id)
    return record is not None and record.ours and record.status is Status.QUEUED


def _not_none(found: Iterable[Repair | None]) -> list[Repair]:
    return [item for item in found if item is not None]

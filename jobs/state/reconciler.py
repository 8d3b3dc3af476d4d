"""The authority over what becomes of jobs: records, queue, work in progress and folders, compared every few seconds.

A kill can leave any of them behind the others: work that ended without saying so, an entry that a worker took and
never began, a record whose entry is gone, a server that forgot its last second. Every change made here is refused
where the record has changed meanwhile, so that two reconcilers, or one beside a worker, do no harm.
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
from jobs.state.ending import conclude
from jobs.state.lifecycle import ending_on_disk, interrupted
from jobs.state.model import JobRecord, Status
from jobs.state.queue import HEARTBEAT_MISSED, queue_errors
from jobs.state.work_lock import Work

SECOND_LOOK_S: Final = 4.0
"""What can also be a job on its way from queue to work is mended when it still looks so this much later."""

FULL_EVERY_S: Final = 300.0
"""All records and folders, not only the open ones; also at the start, and when the server has started again."""

SUBMISSION_S: Final = 10.0
"""A folder this young may be a submission on its way to the queue."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Mended:
    """One thing that was put right. what: for the operator."""

    job_id: str
    what: str


def reconcile() -> list[Mended]:
    """Look at everything once, and again after some seconds where that tells more. Raises QueueUnavailable."""
    reconciler = Reconciler(open_backend())
    mended = reconciler.look()
    if reconciler.undecided:
        time.sleep(SECOND_LOOK_S)
        mended += reconciler.look()
    return mended


@queue_errors()
def mend(backend: Backend, job_id: str) -> Mended | None:
    """Put one job right that RQ says has ended, or does not know. Raises QueueUnavailable."""
    return _settle(backend, job_id) or _put_back(backend, job_id)


class Reconciler:
    """Remembers what it has seen, from one look to the next."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen: dict[str, float] = {}
        self._agreed: set[str] = set()
        self._server = ""
        self._full_at = float("-inf")

    @property
    def undecided(self) -> bool:
        """Whether there is something that only a second look can tell."""
        return bool(self._seen)

    def look_quietly(self) -> None:
        """For a worker: every few seconds, one at a time of all workers; never raises."""
        token = uuid4().hex
        try:
            with queue_errors():
                if not self._backend.queue.lock_reconciling(token):
                    return
                try:
                    self.look()
                finally:
                    self._backend.queue.unlock_reconciling(token)
        except QueueUnavailable as error:
            log.info("not reconciled: %s", error.message)
        except Exception:  # a chore must not end the worker
            log.exception("reconciling failed")

    def forgive(self, job_id: str) -> None:
        """The work on a job was stopped with its worker, on purpose: this does not count among its attempts."""
        try:
            with queue_errors():
                self._backend.store.change(
                    job_id,
                    lambda record: None if record.status.final else {"lost_attempts": record.lost_attempts - 1},
                )
        except QueueUnavailable as error:
            log.info("job %s: %s", job_id, error.message)

    @queue_errors()
    def look(self) -> list[Mended]:
        """Compare and mend. Raises QueueUnavailable."""
        server, _ = self._backend.queue.server()
        full = server != self._server or time.monotonic() - self._full_at > FULL_EVERY_S
        mended: list[Mended] = []
        if full:
            if server != self._server:
                self._agreed.clear()
            mended += self._folders()
        mended += self._entries()
        mended += self._open_jobs(everything=full)
        mended += self._leftovers()
        self._backend.queue.forget_dead_workers()
        if full:
            self._backend.storage.finish_removals()
            self._backend.queue.forget_old_results()
            self._server, self._full_at = server, time.monotonic()
        for item in mended:
            log.warning("job %s: %s", item.job_id, item.what)
        return mended

    def _folders(self) -> list[Mended]:
        """What the folders know and the records do not."""
        records = self._backend.store.index_open()
        found = []
        for job_id in self._backend.storage.job_ids():
            if job_id not in records:
                found.append(_rebuild(self._backend, job_id))
            elif job_id not in self._agreed:
                record = records[job_id]
                if record is not None and record.status.final:
                    found.append(_agree(self._backend, job_id))
                    self._agreed.add(job_id)
        return _only(found)

    def _entries(self) -> list[Mended]:
        """Entries of the queue that nobody needs, or nobody could run."""
        waiting = Counter(self._backend.queue.waiting())
        for job_id, entries in waiting.items():
            if entries > 1:
                self._backend.queue.drop_repeats(job_id, entries)
        closed = waiting.keys() - set(self._backend.store.open_ids())
        found = [_without_record(self._backend, job_id) for job_id in closed]
        known = self._backend.queue.known(list(waiting))
        found += [_put_back(self._backend, job_id) for job_id, runnable in known.items() if not runnable]
        return _only(found)

    def _open_jobs(self, *, everything: bool) -> list[Mended]:
        """Open jobs whose work is over, or that stand in no queue."""
        waiting = set(self._backend.queue.waiting())
        ids = self._backend.store.open_ids()
        found = [_settle(self._backend, job_id) for job_id in ids if job_id not in waiting or everything]
        queued = [job_id for job_id in ids if job_id not in waiting and _is_queued(self._backend, job_id)]
        found += [_put_back(self._backend, job_id) for job_id in self._still(Status.QUEUED, queued)]
        return _only(found)

    def _leftovers(self) -> list[Mended]:
        """What RQ keeps of jobs that have ended."""
        gone = {*self._backend.queue.taken(), *self._backend.queue.started()} - set(self._backend.store.open_ids())
        for job_id in self._still("ended", gone):
            self._backend.queue.remove(job_id)
        return []

    def _still(self, kind: str, job_ids: Iterable[str]) -> list[str]:
        """Those that looked the same some seconds ago."""
        moment = time.monotonic()
        before = {key: seen for key, seen in self._seen.items() if key.startswith(f"{kind} ")}
        ripe = []
        for job_id in job_ids:
            seen = before.pop(f"{kind} {job_id}", None)
            if seen is not None and moment - seen >= SECOND_LOOK_S:
                ripe.append(job_id)
                self._seen.pop(f"{kind} {job_id}")
            else:
                self._seen[f"{kind} {job_id}"] = moment if seen is None else seen
        for key in before:
            self._seen.pop(key)
        return ripe


def at_work(backend: Backend, job_id: str) -> bool:
    """Whether somebody works on a job: by the lock on this machine, else by the last sign of life."""
    work = backend.storage.work_lock(job_id).look()
    if work is not Work.UNKNOWN:
        return work is Work.ALIVE
    # a server that has just started may have forgotten a sign of life: wait for the next one
    return (
        backend.queue.heartbeat_of(job_id) is not None or backend.queue.server()[1] < HEARTBEAT_MISSED.total_seconds()
    )


def _settle(backend: Backend, job_id: str) -> Mended | None:
    """End, or queue again, an open job whose work is over."""
    record, text = backend.store.load_text(job_id)
    if record is None or record.status.final:
        backend.store.close(job_id)
        return None
    if not record.ours or at_work(backend, job_id):
        return None
    ending = ending_on_disk(backend.storage, record)
    if ending is None:
        if record.status is Status.QUEUED:
            return None
        ending = interrupted(record)
        if ending["status"] is Status.QUEUED:
            return _enqueue(backend, replace(record, **ending), text, "its work was cut short: queued again")
    ended, written = backend.store.change(job_id, lambda current: ending if current == record else None)
    if not written or ended is None:
        return None
    backend.queue.remove(job_id)
    conclude(backend, ended)
    return Mended(job_id=job_id, what=f"its work was over: {ended.error_code or ended.status}")


def _put_back(backend: Backend, job_id: str) -> Mended | None:
    """Queue a waiting job again whose entry is gone."""
    record, text = backend.store.load_text(job_id)
    if record is None or not record.ours or record.status is not Status.QUEUED or at_work(backend, job_id):
        return None
    return _enqueue(backend, record, text, "it stood in no queue: queued again")


def _enqueue(backend: Backend, record: JobRecord, replaces: str | None, what: str) -> Mended | None:
    written = backend.queue.enqueue(record, replaces=replaces, first=record.lost_attempts > 0)
    return Mended(job_id=record.id, what=what) if written else None


def _without_record(backend: Backend, job_id: str) -> Mended | None:
    """An entry of the queue whose job is not open."""
    record = backend.store.load(job_id)
    if record is not None and not record.status.final:
        backend.store.change(job_id, lambda _: {})  # open, but not in the index
        return None
    backend.queue.remove(job_id)
    rebuilt = _rebuild(backend, job_id) if record is None else None
    return rebuilt or Mended(job_id=job_id, what="an entry of the queue without an open job: removed")


def _rebuild(backend: Backend, job_id: str) -> Mended | None:
    """A job whose record the queue has forgotten: as job.json has it."""
    written = backend.storage.read_record(job_id)
    if written is None or written.id != job_id or backend.storage.record_age_s(job_id) < SUBMISSION_S:
        return None
    if written.status.final:
        known = backend.store.add_ended(written)
        return Mended(job_id=job_id, what=f"its record was gone: {written.status}") if known else None
    waiting = replace(written, status=Status.QUEUED, started_at=None)
    return _enqueue(backend, waiting, None, "its record was gone: queued again")


def _agree(backend: Backend, job_id: str) -> Mended | None:
    """A job that has ended, but whose folder does not say so."""
    written = backend.storage.read_record(job_id)
    record, text = backend.store.load_text(job_id)
    if record is None or written is None or not record.status.final or written.status.final:
        return None
    if written.attempt > record.attempt:
        return _enqueue(backend, written, text, "its new start was forgotten: queued again")
    if record.status is Status.COMPLETE:
        backend.statistics.record_complete(record)  # counts once, whoever was cut short
    backend.storage.remove_upload(job_id)
    backend.storage.write_record(record)
    return Mended(job_id=job_id, what="its end was not yet in its folder")


def _is_queued(backend: Backend, job_id: str) -> bool:
    record = backend.store.load(job_id)
    return record is not None and record.ours and record.status is Status.QUEUED


def _only(found: Iterable[Mended | None]) -> list[Mended]:
    return [item for item in found if item is not None]

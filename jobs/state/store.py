"""The records of jobs: Redis hash `jobs`, field = job id, value = JSON.

Every change is a compare-and-set in one Lua script: the new JSON is written only if the old one is unchanged. Merging
in Lua would lose data: cjson does not distinguish [] from {} and rounds large integers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import redis

from jobs.errors import QueueUnavailable
from jobs.state.lua import read_script
from jobs.state.model import JobRecord, RecordChanges
from jobs.state.queue import BY_CREATION, OPEN, OWNED, RECORDS, VERSIONS
from jobs.state.rq_adapter import QUEUE_KEY, job_key

_REPLACE: Final = read_script("replace_record")
_MAX_CONFLICTS: Final = 200

CLAIM_S: Final = 30
"""Time from the reservation of a version's number to its record."""

LOG_OUTDATED: Final = "jobs:forgotten"
"""Set after deletions that the server's append-only log still contains."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A job's record and RQ's status, read in one MULTI. position counts from 1; None: not waiting."""

    record: JobRecord
    position: int | None
    rq_status: str | None


class JobStore:
    """Reads and changes records. Raises redis.RedisError if the server does not respond (see queue.queue_errors)."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._replace: Callable[..., Any] = client.register_script(_REPLACE)

    def load(self, job_id: str) -> JobRecord | None:
        """The record; None if missing or unreadable."""
        return _parse(job_id, self._client.hget(RECORDS, job_id))

    def load_text(self, job_id: str) -> tuple[JobRecord | None, str]:
        """The record and its JSON."""
        text: Any = self._client.hget(RECORDS, job_id)
        return _parse(job_id, text), text or ""

    def snapshot(self, job_id: str) -> Snapshot | None:
        """Record, queue position and RQ's status at one point in time."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hget(RECORDS, job_id)
        pipe.lpos(QUEUE_KEY, job_id)
        pipe.hget(job_key(job_id), "status")
        text, index, status = pipe.execute()
        record = _parse(job_id, text)
        if record is None:
            return None
        return Snapshot(record=record, position=None if index is None else index + 1, rq_status=status)

    def change(self, job_id: str, decide: Callable[[JobRecord], RecordChanges | None]) -> tuple[JobRecord | None, bool]:
        """Apply what `decide` makes of the current record; it is asked again when someone else wrote meanwhile.

        decide returns the changed fields, or None to leave the record unchanged. Returns (current record, changed).
        """
        for _ in range(_MAX_CONFLICTS):
            text = self._client.hget(RECORDS, job_id)
            record = _parse(job_id, text)
            if record is None:
                return None, False
            changes = decide(record)
            if changes is None:
                return record, False
            changed = replace(record, **changes)
            index = "SREM" if changed.status.final else "SADD"
            if self._replace(keys=[RECORDS, OPEN], args=[job_id, text, changed.to_json(), index]):
                if record.email and not changed.email:
                    self._client.set(LOG_OUTDATED, 1)
                return changed, True
        raise QueueUnavailable("The job's record changes too often to be written.", hint="Try again.")

    def merge(self, job_id: str, attempt: int, changes: RecordChanges) -> bool:
        """Write of a running attempt. Rejected (False) if the job has ended, was deleted, or has a later attempt."""

        def decide(record: JobRecord) -> RecordChanges | None:
            return None if record.status.final or record.attempt > attempt else changes

        return self.change(job_id, decide)[1]

    def delete(self, job_id: str) -> None:
        """Remove the record."""
        record = self.load(job_id)
        pipe = self._client.pipeline(transaction=True)
        if record is not None and record.version_of:
            pipe.zrem(f"{VERSIONS}{record.version_of}", job_id)
        if record is not None and record.owner:
            pipe.zrem(f"{OWNED}{record.owner}", job_id)
        pipe.hdel(RECORDS, job_id)
        pipe.zrem(BY_CREATION, job_id)
        pipe.srem(OPEN, job_id)
        pipe.set(LOG_OUTDATED, 1)
        pipe.execute()

    def mark_log_outdated(self) -> None:
        """Note that the server's log still contains deleted data."""
        self._client.set(LOG_OUTDATED, 1)

    def compact_log(self) -> None:
        """Rewrite the server's log on disk if it still contains deleted data: addresses of ended jobs, file names.

        No effect if the server does not permit it.
        """
        if self._client.delete(LOG_OUTDATED):
            with contextlib.suppress(redis.ResponseError):
                self._client.bgrewriteaof()

    def recent(self, limit: int) -> list[JobRecord]:
        """The newest records, newest first."""
        self._index_foreign()
        ids: Any = self._client.zrevrange(BY_CREATION, 0, limit - 1)
        return self.load_several(list(ids))

    def _index_foreign(self) -> None:
        """Add records of other programs, which exist only in the hash, to the sorted set."""
        if self._client.hlen(RECORDS) == self._client.zcard(BY_CREATION):
            return
        for job_id, text in self._client.hscan_iter(RECORDS, count=500):
            record = _parse(job_id, text)
            created = record.created_at.timestamp() if record is not None and record.created_at else 0.0
            self._client.zadd(BY_CREATION, {job_id: created}, nx=True)

    def ids(self) -> list[str]:
        """The ids of all records, by creation time."""
        self._index_foreign()
        ids: Any = self._client.zrange(BY_CREATION, 0, -1)
        return list(ids)

    def count(self) -> int:
        """Number of records."""
        return int(self._client.hlen(RECORDS))

    def open_ids(self) -> list[str]:
        """Jobs that have not ended, as far as they are indexed (see `index_open`)."""
        ids: Any = self._client.smembers(OPEN)
        return sorted(ids)

    def close(self, job_id: str) -> None:
        """Remove an ended or deleted job from the index of open jobs."""
        record, _ = self.change(job_id, lambda record: {} if record.status.final else None)
        if record is None:
            self._client.srem(OPEN, job_id)

    def index_open(self) -> dict[str, JobRecord | None]:
        """Read every record and add open ones to the index.

        Returns all records by id; None for records of other programs and unreadable ones.
        """
        records: dict[str, JobRecord | None] = {}
        for job_id, text in self._client.hscan_iter(RECORDS, count=500):
            record = _parse(job_id, text)
            records[job_id] = record if record is not None and record.ours else None
            if record is not None and record.ours and not record.status.final:
                self._client.sadd(OPEN, job_id)
        return records

    def add_ended(self, record: JobRecord) -> bool:
        """Restore the record of an ended job; False if there is one."""
        if not self._client.hsetnx(RECORDS, record.id, record.to_json()):
            return False
        created = record.created_at.timestamp() if record.created_at else 0.0
        self._client.zadd(BY_CREATION, {record.id: created})
        if record.version_of:
            self._client.zadd(f"{VERSIONS}{record.version_of}", {record.id: record.version})
        if record.owner:
            self._client.zadd(f"{OWNED}{record.owner}", {record.id: created})
        return True

    def owned(self, owner: str, limit: int) -> list[JobRecord]:
        """The newest jobs of a person or a project, newest first."""
        ids: Any = self._client.zrevrange(f"{OWNED}{owner}", 0, limit - 1)
        return self.load_several(list(ids))

    def give(self, job_id: str, owner: str) -> JobRecord | None:
        """Change to whom a job belongs; the changed record, or None if there is none."""
        before: list[str] = []

        def decide(record: JobRecord) -> RecordChanges:
            before[:] = [record.owner]
            return {"owner": owner}

        record, _ = self.change(job_id, decide)
        if record is None:
            return None
        pipe = self._client.pipeline(transaction=True)
        pipe.zrem(f"{OWNED}{before[0]}", job_id)
        if owner:
            pipe.zadd(f"{OWNED}{owner}", {job_id: record.created_at.timestamp() if record.created_at else 0.0})
        pipe.execute()
        return record

    def family(self, first_id: str) -> list[JobRecord]:
        """All versions of an analysis that exist, oldest first. first_id: of version 1, which may have been deleted."""
        ids: Any = self._client.zrange(f"{VERSIONS}{first_id}", 0, -1)
        return self.load_several([first_id, *ids])

    def newest_versions(self, first_ids: list[str]) -> dict[str, str]:
        """Id of a first version -> id of the newest later one, where there is one, in one request."""
        pipe = self._client.pipeline(transaction=False)
        for first_id in first_ids:
            pipe.zrevrange(f"{VERSIONS}{first_id}", 0, 0)
        found = pipe.execute()
        return {first_id: ids[0] for first_id, ids in zip(first_ids, found, strict=True) if ids}

    def claim_version(self, first_id: str, version: int) -> bool:
        """Reserve the number of a new version; False if another request has just reserved it."""
        key = f"{VERSIONS}{first_id}:{version}"
        return bool(self._client.set(key, 1, nx=True, ex=CLAIM_S))

    def load_several(self, job_ids: list[str]) -> list[JobRecord]:
        """The records of these jobs, in this order, without missing and unreadable ones."""
        texts: Any = self._client.hmget(RECORDS, job_ids) if job_ids else []
        return [record for record in map(_parse, job_ids, texts) if record is not None]

    def positions(self, job_ids: list[str]) -> dict[str, int]:
        """Job id -> position in the queue, from 1, of those that wait. Searched from the end: for new jobs."""
        pipe = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.lpos(QUEUE_KEY, job_id, rank=-1)
        found = pipe.execute()
        return {job_id: index + 1 for job_id, index in zip(job_ids, found, strict=True) if index is not None}


def _parse(job_id: str, text: Any) -> JobRecord | None:
    """The record of a job; None if it is missing, unreadable, or that of another job."""
    if text is None:
        return None
    try:
        record = JobRecord.from_json(text)
    except (ValueError, TypeError):
        return None
    return record if record.id == job_id else None

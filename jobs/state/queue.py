"""Access to RQ's queue, and translation of its errors. Records are in store.py, the worker is in rq_worker.py.

RQ only moves entries. Its retries and its cleanup are not used: the reconciler decides about interrupted jobs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry
from rq import Queue
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.errors import QueueUnavailable
from jobs.state.clock import now
from jobs.state.lua import read_script
from jobs.state.model import JobRecord, Priority, read_time
from jobs.state.rq_adapter import (
    INTERMEDIATE_KEY,
    QUEUE_KEY,
    QUEUE_NAME,
    STARTED_KEY,
    job_id_of_execution,
    job_key,
    keys_of_job,
    remove_dead_workers,
)
from jobs.state.work_lock import boot_id
from jobs.state.workers import WorkerState, read_states

RECORDS: Final = "jobs"
"""Hash: job id -> record as JSON."""

BY_CREATION: Final = "jobs:created"
"""Sorted set of job ids, score = creation time: so that the cost of listing does not depend on the size of the hash."""

VERSIONS: Final = "jobs:versions:"
"""Key prefix, then the id of a first version: sorted set of the ids of its later versions, score = number."""

OWNED: Final = "jobs:of:"
"""Key prefix, then a person or a project: sorted set of the ids of its jobs, score = creation time."""

OPEN: Final = "jobs:open"
"""Set of the ids of jobs that have not ended, for the reconciler."""

BULK: Final = "jobs:bulk"
PRECEDED: Final = "jobs:bulk:preceded"
"""Waiting bulk jobs in their order, and how many interactive jobs were put directly before each."""

MOST_BEFORE_BULK: Final = 4
"""Interactive jobs that are put before the same bulk job, so that bulk jobs do not wait without end."""

RECONCILING: Final = "jobs:reconciling"
FUNCTION: Final = "jobs.worker.tasks.run_job"
STUDY_FUNCTION: Final = "jobs.worker.study_tasks.run_part"
"""Strings, so that web processes do not import the analysis."""

JOB_TIMEOUT_S: Final = 3600
"""An analysis takes one minute on two cores; after an hour it is considered stuck."""

SOCKET_TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 1.0
"""An unreachable server must give a 503 within seconds: redis-py's default of three retries blocked for 4.35 s."""

_MAX_CONFLICTS: Final = 200

LOOKED_AT: Final = 20
"""Jobs at the front that are searched for the longest waiting one: those that were interrupted precede older ones."""

HEARTBEAT_S: Final = 5
HEARTBEAT_MISSED: Final = timedelta(seconds=15)
LOCK_S: Final = 10

_RELEASE: Final = read_script("release_lock")
_PLACE: Final = read_script("place_entry")


class AnalysisJob(Job):  # type: ignore[misc]  # rq has no types
    """A job that can only call FUNCTION or STUDY_FUNCTION with its own id. A client with access to Redis cannot make a
    worker call other functions, also not as callbacks, or send requests.
    """

    success_callback = failure_callback = stopped_callback = None

    @property
    def func(self) -> Any:  # Any: as in rq
        if self.func_name not in (FUNCTION, STUDY_FUNCTION):
            raise PermissionError(f"a worker runs only {FUNCTION} and {STUDY_FUNCTION}")
        if list(self.args) != [self.id] or self.kwargs:
            raise PermissionError(f"{self.func_name} takes only the id of its job")
        return super().func

    def send_webhooks(self, *_: object, **__: object) -> None:
        """Disabled: RQ would call any address in the job's hash."""


@contextlib.contextmanager
def queue_errors() -> Iterator[None]:
    """Translate what redis-py raises into QueueUnavailable; also a decorator."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise QueueUnavailable(
            f"The job queue cannot be used ({type(error).__name__}).", hint="Try again in a minute."
        ) from error


def text_client(url: str) -> redis.Redis:
    """A client with str responses, for records and numbers. RQ's workers cannot use it."""
    return _client(url, decode_responses=True)


def _client(url: str, *, decode_responses: bool) -> redis.Redis:
    try:
        client: redis.Redis = redis.Redis.from_url(
            url,
            decode_responses=decode_responses,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=RedisRetry(NoBackoff(), 0),
        )
    except (ValueError, TypeError):  # redis-py quotes parts of the address, which contains the password
        raise QueueUnavailable("REDIS_URL is not a valid address.", hint="Check its port, path and options.") from None
    return client


class AnalysisQueue:
    """Waiting and running jobs in RQ. Our job id is RQ's."""

    def __init__(self, url: str) -> None:
        self._client = _client(url, decode_responses=False)
        self._queue = Queue(QUEUE_NAME, connection=self._client, serializer=JSONSerializer, job_class=AnalysisJob)
        self._release = self._client.register_script(_RELEASE)

    @property
    def connection(self) -> redis.Redis:
        """With responses as bytes, as RQ needs them."""
        return self._client

    def enqueue(self, record: JobRecord, *, replaces: str | None = None, at_front: bool = False) -> bool:
        """Write queue entry and record in one transaction; returns whether they were written.

        Jobs of the same priority keep their order. A new interactive job is put before the first bulk job before which
        fewer than MOST_BEFORE_BULK have been put.

        replaces   for a job that is queued again: the current record (JSON), which must not have changed. None: a new
                   job, which is not written if a job with this id exists
        at_front   put it before all others, for a job that was interrupted
        """
        job_id, created = record.id, (record.created_at or now()).timestamp()
        for _ in range(_MAX_CONFLICTS):
            with self._client.pipeline(transaction=True) as pipe:
                pipe.watch(RECORDS)  # type: ignore[no-untyped-call]
                before = pipe.hget(RECORDS, job_id)
                if before != (None if replaces is None else replaces.encode()):
                    return False
                pipe.multi()
                self._delete_entries(pipe, job_id)
                self._queue.enqueue(
                    FUNCTION,
                    job_id,
                    job_id=job_id,
                    pipeline=pipe,
                    job_timeout=JOB_TIMEOUT_S,
                    at_front=at_front,
                    failure_ttl=86_400,
                    description="analysis",
                )
                if not at_front:
                    bulk = int(record.priority is Priority.BULK)
                    pipe.eval(_PLACE, 3, QUEUE_KEY, BULK, PRECEDED, job_id, bulk, MOST_BEFORE_BULK)
                pipe.hset(RECORDS, job_id, record.to_json())
                pipe.zadd(BY_CREATION, {job_id: created})
                if record.version_of:
                    pipe.zadd(f"{VERSIONS}{record.version_of}", {job_id: record.version})
                if record.owner:
                    pipe.zadd(f"{OWNED}{record.owner}", {job_id: created})
                pipe.sadd(OPEN, job_id)
                with contextlib.suppress(redis.WatchError):
                    pipe.execute()
                    return True
        raise QueueUnavailable("The job queue is too busy.", hint="Try again.")

    def remove(self, job_id: str) -> None:
        """Remove a job from the queue and from RQ; for work in progress see `request_stop`."""
        started = self.started().get(job_id, [])
        pipe = self._client.pipeline(transaction=True)
        self._delete_entries(pipe, job_id)
        if started:
            pipe.zrem(STARTED_KEY, *started)
        pipe.execute()

    def put_back(self, job_id: str) -> None:
        """Make a job that a worker has taken, and not started, the next one again."""
        pipe = self._client.pipeline(transaction=True)
        pipe.lrem(INTERMEDIATE_KEY, 0, job_id)
        pipe.lpush(QUEUE_KEY, job_id)
        pipe.execute()

    def _delete_entries(self, pipe: redis.client.Pipeline, job_id: str) -> None:
        pipe.lrem(QUEUE_KEY, 0, job_id)
        pipe.lrem(INTERMEDIATE_KEY, 0, job_id)
        pipe.zrem(BULK, job_id)
        pipe.hdel(PRECEDED, job_id)
        for registry in (self._queue.failed_job_registry, self._queue.finished_job_registry):
            pipe.zrem(registry.key, job_id)
        pipe.delete(*keys_of_job(job_id))

    def request_stop(self, job_id: str) -> bool:
        """Ask the worker of a job to kill its work-horse; returns whether it is running according to RQ."""
        if self.status(job_id) != "started":
            return False
        with contextlib.suppress(InvalidJobOperation, NoSuchJobError):
            send_stop_job_command(self._client, job_id, serializer=JSONSerializer)
        return True

    def status(self, job_id: str) -> str | None:
        """RQ's status of a job; None: unknown."""
        value = self._client.hget(job_key(job_id), "status")
        return value.decode() if isinstance(value, bytes) else None

    def first(self, count: int) -> list[str]:
        """Ids of the first waiting jobs, next one first."""
        return _texts(self._client.lrange(QUEUE_KEY, 0, count - 1)) if count > 0 else []

    def by_priority(self) -> dict[Priority, tuple[int, datetime | None]]:
        """Number of waiting jobs of each priority, and when the one that waits longest was queued.

        Of the interactive jobs, those among the first LOOKED_AT entries are asked.
        """
        bulk = self._client.zcard(BULK)
        first = self.first(LOOKED_AT)
        scores = self._client.zmscore(BULK, first) if first else []
        interactive = [job_id for job_id, score in zip(first, scores, strict=True) if score is None]
        some = {Priority.INTERACTIVE: interactive, Priority.BULK: _texts(self._client.zrange(BULK, 0, 0))}
        counts = {Priority.INTERACTIVE: max(len(interactive), self.length() - bulk), Priority.BULK: bulk}
        return {
            priority: (counts[priority], min(self.queued_since(ids), default=None)) for priority, ids in some.items()
        }

    def oldest(self) -> list[str]:
        """Ids of the jobs among which the longest waiting one is."""
        bulk = _texts(self._client.zrange(BULK, 0, 0))
        waits = [job_id for job_id in bulk if self._client.lpos(QUEUE_KEY, job_id) is not None]
        return self.first(LOOKED_AT) + waits

    def queued_since(self, job_ids: list[str]) -> list[datetime]:
        """When each of these jobs was queued last, where known."""
        pipe = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hget(job_key(job_id), "enqueued_at")
        texts = [text.decode() for text in pipe.execute() if text] if job_ids else []
        return [moment for text in texts if (moment := read_time(text)) is not None]

    def length(self) -> int:
        """Number of waiting jobs."""
        return int(self._client.llen(QUEUE_KEY))

    def write_meta(self, job_id: str, meta: Mapping[str, object]) -> None:
        """Write progress to RQ's metadata, for its dashboards."""
        key = job_key(job_id)
        if self._client.exists(key):
            self._client.hset(key, "meta", JSONSerializer.dumps(dict(meta)))

    # For the reconciler.

    def waiting(self) -> list[str]:
        """Ids in the queue, next one first; may contain duplicates."""
        return _texts(self._client.lrange(QUEUE_KEY, 0, -1))

    def taken(self) -> list[str]:
        """Ids taken by a worker but not started."""
        return _texts(self._client.lrange(INTERMEDIATE_KEY, 0, -1))

    def started(self) -> dict[str, list[str]]:
        """Job id -> its entries in RQ's registry of started work."""
        entries: dict[str, list[str]] = {}
        for entry in _texts(self._client.zrange(STARTED_KEY, 0, -1)):
            entries.setdefault(job_id_of_execution(entry), []).append(entry)
        return entries

    def runnable(self, job_ids: list[str]) -> dict[str, bool]:
        """Job id -> whether RQ can run an entry of it: it silently drops entries without a hash."""
        pipe = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hexists(job_key(job_id), "data")
        return dict(zip(job_ids, map(bool, pipe.execute()), strict=True)) if job_ids else {}

    def drop_repeats(self, job_id: str, entries: int) -> None:
        """Keep only the first of several entries of a job."""
        self._client.lrem(QUEUE_KEY, -(entries - 1), job_id)

    def remove_dead_workers(self) -> None:
        """Remove the names of workers whose hash has expired."""
        remove_dead_workers(self._queue)

    def remove_old_results(self) -> None:
        """Remove RQ's hashes of jobs that ended long ago."""
        self._queue.failed_job_registry.cleanup()
        self._queue.finished_job_registry.cleanup()

    def server(self) -> tuple[str, float]:
        """(run id of the server, uptime in seconds)"""
        facts: Any = self._client.info("server")
        return str(facts.get("run_id", "")), float(facts.get("uptime_in_seconds", 0))

    def acquire_reconciling_lock(self, token: str) -> bool:
        """Acquire the lock of the reconcilers; returns success. The lock of a killed process expires after LOCK_S."""
        return bool(self._client.set(RECONCILING, token, nx=True, ex=LOCK_S))

    def release_reconciling_lock(self, token: str) -> None:
        self._release(keys=[RECONCILING], args=[token])

    # Heartbeats.

    def write_heartbeat(self, job_id: str) -> None:
        """Note that the job is running on this machine."""
        self._client.set(f"jobs:alive:{job_id}", boot_id(), ex=int(HEARTBEAT_MISSED.total_seconds()))

    def heartbeat_of(self, job_id: str) -> str | None:
        """Boot ID of the machine that ran the job within the last 15 s; None: no heartbeat."""
        value: Any = self._client.get(f"jobs:alive:{job_id}")
        return value.decode() if value else None

    def workers(self) -> list[WorkerState]:
        """The workers with a heartbeat in the last 15 s."""
        return read_states(self._client)

    def active_workers(self) -> int:
        """Their number."""
        return len(self.workers())

    def accepts_writes(self) -> bool:
        """Whether the server accepts writes: if it is full or cannot save, it responds but rejects them."""
        try:
            return bool(self._client.set("health:probe", 1, ex=60))
        except redis.ResponseError:
            return False

    def ping(self) -> bool:
        """Whether the server responds. Raises the errors of redis-py."""
        return bool(self._client.ping())


def _texts(values: Any) -> list[str]:
    return [value.decode() for value in values]

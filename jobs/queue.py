"""The two connections of a process, RQ's queue, and its worker. The record of a job is store.py's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry
from rq import Queue, Retry, Worker
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException as JobTimedOut

from jobs.errors import QueueUnavailable

__all__ = ["AnalysisQueue", "JobTimedOut", "make_worker", "queue_errors", "text_client"]

RECORDS: Final = "jobs"
"""Hash: job id -> record as JSON."""

BY_CREATION: Final = "jobs:created"
"""Sorted set of job ids, score = creation time: the list of jobs costs the same with 10 or 10,000 in the hash."""

QUEUE_NAME: Final = "analyses"
QUEUE_KEY: Final = f"rq:queue:{QUEUE_NAME}"
FUNCTION: Final = "jobs.tasks.run_job"
"""A string: the web processes never import what the analysis needs."""

JOB_TIMEOUT_S: Final = 3600
"""An analysis takes a minute on two cores; one that needs an hour hangs."""

SOCKET_TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 1.0
"""A dead server must answer as "503" within seconds: redis-py's default of three retries blocked for 4.35 s."""

_MOST_CONFLICTS: Final = 200

HEARTBEAT_S: Final = 5
HEARTBEAT_MISSED: Final = timedelta(seconds=15)


class _AnalysisJob(Job):  # type: ignore[misc]  # rq has no types
    """A job that can only be the one function: whoever reaches Redis cannot make a worker call another."""

    @property
    def func(self) -> Any:
        if self.func_name != FUNCTION:
            raise PermissionError(f"a worker runs {FUNCTION} and nothing else")
        return super().func


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
    """For records and numbers: answers are str. RQ's workers cannot use such a client."""
    return _client(url, decode_responses=True)


def _client(url: str, *, decode_responses: bool) -> redis.Redis:
    client: redis.Redis = redis.Redis.from_url(
        url,
        decode_responses=decode_responses,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=RedisRetry(NoBackoff(), 0),
    )
    return client


class AnalysisQueue:
    """Jobs that wait and work, as RQ sees them. Our job id is RQ's."""

    def __init__(self, url: str) -> None:
        self._client = _client(url, decode_responses=False)
        self._queue = Queue(QUEUE_NAME, connection=self._client, serializer=JSONSerializer, job_class=_AnalysisJob)

    def enqueue(self, job_id: str, record_json: str, created: float, *, replaces: str | None = None) -> bool:
        """Queue entry and record in one MULTI; -> whether it was written.

        replaces: the record (JSON) that must still be there, for a job that is queued again; None: a new job.
        """
        for _ in range(_MOST_CONFLICTS):
            with self._client.pipeline(transaction=True) as pipe:
                if replaces is not None:
                    pipe.watch(RECORDS)  # type: ignore[no-untyped-call]
                    if pipe.hget(RECORDS, job_id) != replaces.encode():
                        return False
                self._queue.enqueue(  # RQ's call first: it begins the MULTI
                    FUNCTION,
                    job_id,
                    job_id=job_id,
                    pipeline=pipe,
                    job_timeout=JOB_TIMEOUT_S,
                    retry=Retry(max=1),
                    failure_ttl=86_400,
                    description="analysis",
                )
                pipe.hset(RECORDS, job_id, record_json)
                pipe.zadd(BY_CREATION, {job_id: created})
                with contextlib.suppress(redis.WatchError):
                    pipe.execute()
                    return True
        raise QueueUnavailable("The job queue is too busy.", hint="Try again.")

    def remove(self, job_id: str) -> None:
        """Take a job out of the queue and forget what RQ knows of it; work in progress is `stop`'s."""
        pipe = self._client.pipeline(transaction=True)
        self._queue.remove(job_id, pipeline=pipe)
        for registry in (self._queue.failed_job_registry, self._queue.finished_job_registry):
            pipe.zrem(registry.key, job_id)
        pipe.delete(Job.key_for(job_id), f"rq:results:{job_id}")
        pipe.execute()

    def stop(self, job_id: str, *, wait_s: float = 2.0) -> bool:
        """Stop the work on a job, if any, and wait until it has ended; False where it still runs after `wait_s`."""
        deadline = time.monotonic() + wait_s
        while self._status(job_id) == "started":
            with contextlib.suppress(InvalidJobOperation, NoSuchJobError):
                send_stop_job_command(self._client, job_id, serializer=JSONSerializer)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _status(self, job_id: str) -> str | None:
        value = self._client.hget(Job.key_for(job_id), "status")
        return value.decode() if isinstance(value, bytes) else None

    def length(self) -> int:
        """Jobs that wait."""
        return int(self._client.llen(QUEUE_KEY))

    def write_meta(self, job_id: str, meta: dict[str, Any]) -> None:
        """Progress in RQ's own place, for its dashboards."""
        key = Job.key_for(job_id)
        if self._client.exists(key):
            self._client.hset(key, "meta", JSONSerializer.dumps(meta))

    def worker_alive(self) -> bool:
        """Whether any worker has been heard of within 15 s."""
        oldest = datetime.now(UTC) - HEARTBEAT_MISSED
        workers = Worker.all(queue=self._queue, serializer=JSONSerializer)
        return any(worker.last_heartbeat is not None and worker.last_heartbeat > oldest for worker in workers)

    def ping(self) -> bool:
        """Whether the server answers. Raises what redis-py raises where it does not."""
        return bool(self._client.ping())


def rq_job_key(job_id: str) -> str:
    """RQ's own hash of a job."""
    return str(Job.key_for(job_id))


class _Worker(Worker):  # type: ignore[misc]  # rq has no types
    """RQ's worker, with a chore of ours among its maintenance."""

    chore: Callable[[], object]

    def run_maintenance_tasks(self) -> None:
        super().run_maintenance_tasks()
        self.chore()


def make_worker(url: str, chore: Callable[[], object]) -> Worker:
    """A worker with a random name (a fixed one is locked out for minutes after a kill) for the one queue.

    chore: called with every maintenance, in the parent process, while no job runs here; must not raise.

    worker_ttl 20 s makes RQ wait for work at most 5 s at a time: heartbeat and maintenance come as often.
    """
    client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S)
    worker = _Worker(
        [QUEUE_NAME],
        connection=client,
        serializer=JSONSerializer,
        job_class=_AnalysisJob,
        worker_ttl=15 + HEARTBEAT_S,
        job_monitoring_interval=HEARTBEAT_S,
        maintenance_interval=HEARTBEAT_S,
        log_job_description=False,
    )
    worker.max_connection_wait_time = 5.0
    worker.chore = chore
    return worker

"""RQ's queue of the parts of studies. Workers take from it only while no single job waits.

It holds the next parts alone. Everything else is in the folders of the studies: if the queue is lost, it is filled
again (jobs/studies/feeding.py).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from rq import Queue
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer

from jobs.state.clock import now
from jobs.state.model import read_time
from jobs.state.queue import STUDY_FUNCTION, AnalysisJob
from jobs.state.rq_adapter import (
    QUEUE_KEY,
    STUDY_QUEUE_KEY,
    STUDY_QUEUE_NAME,
    STUDY_STARTED_KEY,
    job_id_of_execution,
    job_key,
    keys_of_job,
)

if TYPE_CHECKING:
    import redis

TAKEN: Final = "studies:taken"
"""Hash: part in work -> the part with which its work-horse began, which has the heartbeat."""

LATER: Final = "studies:later"
"""Sorted set of parts that another process holds, score = when they may be tried again."""

LATER_S: Final = 5.0
LOST: Final = "studies:lost:"
"""Key prefix, then a part: how often its work was interrupted, weighted."""

LOST_KEPT_S: Final = 7 * 86_400
FEEDING: Final = "studies:feeding"
FEEDING_S: Final = 10
HORSE_TIMEOUT_S: Final = 2 * 3600
"""Of one work-horse, which works on several parts; each has its own limit."""

MOST_LOST: Final = 10
KILLED_WEIGHT: Final = 5
"""A row is abandoned when its interruptions weigh more than MOST_LOST: each begin counts 1 until it ends; the kill of
its process while the worker lives, or a lack of memory, counts KILLED_WEIGHT more.
"""


class StudyQueue:
    """client: with str responses."""

    def __init__(self, url_client: redis.Redis, client: redis.Redis) -> None:
        self._client = client
        self._queue = Queue(STUDY_QUEUE_NAME, connection=url_client, serializer=JSONSerializer, job_class=AnalysisJob)

    def add(self, parts: Iterable[str], *, at_front: bool = False) -> None:
        """Queue parts that are not queued. `put_off` then has them for some seconds: a worker may be taking them."""
        for part in parts:
            self._client.zadd(LATER, {part: time.time() + LATER_S})
            self._queue.enqueue(
                STUDY_FUNCTION,
                part,
                job_id=part,
                job_timeout=HORSE_TIMEOUT_S,
                result_ttl=0,
                failure_ttl=60,
                at_front=at_front,
                description="study",
            )

    def waiting(self) -> list[str]:
        """The queued parts, next one first."""
        return list(_any(self._client.lrange(STUDY_QUEUE_KEY, 0, -1)))

    def length(self) -> int:
        """Number of queued parts."""
        return int(self._client.llen(STUDY_QUEUE_KEY))

    def oldest_wait_s(self) -> float:
        """Since the first queued part was queued; 0 without one."""
        first = self._client.lindex(STUDY_QUEUE_KEY, 0)
        moment = read_time(self._client.hget(job_key(str(first)), "enqueued_at")) if first else None
        return 0.0 if moment is None else max(0.0, (now() - moment).total_seconds())

    def take(self, horse: str) -> str | None:
        """The next part, for a work-horse that has ended another; None if there is none, or if a single job waits."""
        if self._client.llen(QUEUE_KEY):
            return None
        part: str | None = _any(self._client.lpop(STUDY_QUEUE_KEY))
        if part is not None and part != horse:  # RQ ends the latter with the work-horse
            self._client.delete(*keys_of_job(part))
        return part

    def remove(self, study_id: str) -> None:
        """Remove the queued parts of a study."""
        for part in self.waiting():
            if part.startswith(study_id):
                self._client.lrem(STUDY_QUEUE_KEY, 0, part)
                self._client.zrem(LATER, part)
                self._client.delete(*keys_of_job(part))

    # Work in progress.

    def begin(self, part: str, horse: str) -> int:
        """Note that a work-horse works on a part; returns how often that was interrupted before, weighted."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hset(TAKEN, part, horse)
        pipe.incr(f"{LOST}{part}")
        pipe.expire(f"{LOST}{part}", LOST_KEPT_S)
        return int(pipe.execute()[1]) - 1

    def end(self, part: str, *, lost: int = 0, later: bool = False) -> None:
        """Note that the work on a part has ended. lost: weight of an interruption; later: another process holds it."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hdel(TAKEN, part)
        if lost:
            pipe.incrby(f"{LOST}{part}", lost)
        else:
            pipe.delete(f"{LOST}{part}")
        if later:
            pipe.zadd(LATER, {part: time.time() + LATER_S})
        pipe.execute()

    def horse_lost(self, horse: str, weight: int) -> None:
        """Note that a work-horse was killed while its worker lives."""
        for part, its_horse in _any(self._client.hgetall(TAKEN)).items():
            if its_horse == horse:
                self.end(part, lost=weight)

    def in_work(self) -> set[str]:
        """The parts with a live work-horse; forgets the others."""
        taken: dict[str, str] = _any(self._client.hgetall(TAKEN))
        started = {job_id_of_execution(entry) for entry in _any(self._client.zrange(STUDY_STARTED_KEY, 0, -1))}
        horses = sorted({*taken.values(), *started})
        alive_keys = [f"jobs:alive:{horse}" for horse in horses]
        beats = _any(self._client.mget(alive_keys)) if horses else []
        alive = {horse for horse, beat in zip(horses, beats, strict=True) if beat}
        gone = [part for part, horse in taken.items() if horse not in alive]
        if gone:
            self._client.hdel(TAKEN, *gone)
        return {part for part, horse in taken.items() if horse in alive} | (started & alive)

    def may_feed(self) -> bool:
        """Whether the queue is to be filled by this process now: one at a time does."""
        return bool(self._client.set(FEEDING, 1, nx=True, ex=FEEDING_S))

    def fed(self) -> None:
        """It has been filled."""
        self._client.delete(FEEDING)

    def forget_interruptions(self, parts: Iterable[str]) -> None:
        """Before failed parts are tried again."""
        keys = [f"{LOST}{part}" for part in parts]
        if keys:
            self._client.delete(*keys)

    def put_off(self) -> set[str]:
        """The parts that are not to be queued yet."""
        moment = time.time()
        self._client.zremrangebyscore(LATER, "-inf", moment)
        return set(_any(self._client.zrange(LATER, 0, -1)))

    def stop(self, study_id: str) -> None:
        """Ask the workers to kill the work-horses that work on a study."""
        for part, horse in _any(self._client.hgetall(TAKEN)).items():
            if part.startswith(study_id):
                self.end(part)
                with contextlib.suppress(InvalidJobOperation, NoSuchJobError):
                    send_stop_job_command(self._queue.connection, horse, serializer=JSONSerializer)


def _any(value: Any) -> Any:  # Any: redis-py's types are those of its asynchronous client too
    return value

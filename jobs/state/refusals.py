"""Counts requests that were answered with an error, by error code, for all processes together.

A process collects its counts and adds them to Redis every few seconds, so that a flood of refused requests does not
become a flood of writes. A process that is killed loses the last FLUSH_S.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import QueueUnavailable
from jobs.state.backend import open_backend
from jobs.state.queue import queue_errors

if TYPE_CHECKING:
    import redis

FLUSH_S: Final = 2.0
REFUSALS: Final = "stats:refusals"
"""Hash: error code -> number."""


class Refusals:
    """The counts of this process that are not in Redis yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._timer: threading.Timer | None = None

    def note(self, code: str) -> None:
        """Count one. Neither waits nor raises."""
        with self._lock:
            self._counts[code] += 1
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_S, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Add the counts to Redis now; without Redis they are kept for the next time."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            counts, self._counts, self._timer = self._counts, Counter(), None
        try:
            self._add(counts)
        except QueueUnavailable:
            with self._lock:
                self._counts += counts

    @queue_errors()
    def _add(self, counts: Counter[str]) -> None:
        if not counts:
            return
        pipe = open_backend().client.pipeline(transaction=True)
        for code, number in counts.items():
            pipe.hincrby(REFUSALS, code, number)
        pipe.execute()


refusals: Final = Refusals()
"""Of this process."""


def read_refusals(client: redis.Redis) -> dict[str, int]:
    """Error code -> number of requests. Raises redis.RedisError."""
    found: Any = client.hgetall(REFUSALS)
    return {code: int(number) for code, number in found.items()}

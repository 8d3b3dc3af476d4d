"""The time that all machines of the service share: that of the queue's server.

Each machine has its own clock; ages computed from two of them are wrong by their difference. Between two readings
of the server's clock, the monotonic clock of this machine counts on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import redis

READ_INTERVAL_S: Final = 10.0
MOST_SKEW_S: Final = 30.0
"""A larger difference between a machine's clock and the server's is a problem for the operator."""

_SLOW_S: Final = 1.0
"""An answer that took longer does not tell the time well enough."""


@dataclass
class _Reading:
    """The last reading: seconds since the epoch on the server, and this machine's monotonic clock at that moment."""

    server_s: float | None = None
    monotonic_s: float = 0.0
    asked_s: float = float("-inf")


_last: Final = _Reading()


def follow(client: redis.Redis) -> None:
    """Read the server's clock, at most every READ_INTERVAL_S. Raises redis.RedisError; the last reading then counts."""
    begun = time.monotonic()
    if begun - _last.asked_s < READ_INTERVAL_S:
        return
    _last.asked_s = begun
    answer: Any = client.time()
    took_s = time.monotonic() - begun
    if took_s < _SLOW_S:
        _last.server_s, _last.monotonic_s = answer[0] + answer[1] / 1e6, begun + took_s / 2


def now() -> datetime:
    """The current time of the server, in UTC; before its clock has been read, that of this machine."""
    if _last.server_s is None:
        return datetime.now(UTC)
    return datetime.fromtimestamp(_last.server_s + time.monotonic() - _last.monotonic_s, UTC)


def skew_s() -> float:
    """Seconds by which the clock of this machine is ahead of the server's."""
    return (datetime.now(UTC) - now()).total_seconds()

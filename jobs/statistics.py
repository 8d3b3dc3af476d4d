"""Counts for the home page and the times that estimates rest on. Days are counted in UTC."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs.model import now

if TYPE_CHECKING:
    from redis import Redis

KEPT_TIMES: Final = 20
UNKNOWN_TIME_S: Final = 60
"""Expected seconds of an analysis while there is no history (a 160 x 384 x 384 scan on two cores: about 45)."""

_STARTED: Final = time.monotonic()


class Statistics:
    """Reads and writes `processing_times` and `stats:*`."""

    def __init__(self, client: Redis, data_dir: Path) -> None:
        self._client = client
        self._data_dir = data_dir

    def record_complete(self, seconds: float) -> None:
        """A job has been completed."""
        pipe = self._client.pipeline(transaction=True)
        pipe.lpush("processing_times", round(seconds, 1))
        pipe.ltrim("processing_times", 0, KEPT_TIMES - 1)
        pipe.incr("stats:total_processed")
        pipe.incr(f"stats:processed:{now():%Y-%m-%d}")
        pipe.execute()

    def record_email(self, email: str) -> None:
        """Count an address without keeping it: one HMAC each, keyed with a secret of this data directory."""
        digest = hmac.new(self._secret(), email.strip().lower().encode(), hashlib.sha256).hexdigest()
        self._client.sadd("stats:unique_emails", digest)

    def _secret(self) -> bytes:
        path = self._data_dir / "secret"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".secret.{os.getpid()}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(secrets.token_bytes(32))
            try:
                os.link(partial, path)  # the first process wins; the others read its secret
            except FileExistsError:
                pass
            finally:
                partial.unlink()
            return path.read_bytes()

    def average_seconds(self) -> float | None:
        """Mean of the last 20 processing times; None where there are none."""
        texts: Any = self._client.lrange("processing_times", 0, KEPT_TIMES - 1)
        times = [seconds for seconds in map(_number, texts) if seconds is not None]
        return statistics.fmean(times) if times else None

    def expected_seconds(self) -> float:
        """What the next analysis will probably take."""
        average = self.average_seconds()
        return UNKNOWN_TIME_S if average is None else average

    def summary(self, jobs_in_queue: int) -> dict[str, Any]:
        """The body of GET /stats."""
        total: Any = self._client.get("stats:total_processed")
        today: Any = self._client.get(f"stats:processed:{now():%Y-%m-%d}")
        users: Any = self._client.scard("stats:unique_emails")
        return {
            "total_jobs_processed": int(_number(total) or 0),
            "total_jobs_today": int(_number(today) or 0),
            "unique_users": int(users),
            "average_processing_time_seconds": round(self.average_seconds() or 0),
            "jobs_in_queue": jobs_in_queue,
            "uptime_hours": round((time.monotonic() - _STARTED) / 3600, 3),
        }


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None

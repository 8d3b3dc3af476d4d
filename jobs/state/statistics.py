"""Counts for the home page, and durations for estimates. Days are in UTC."""

from __future__ import annotations

import hashlib
import hmac
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs.state.clock import now
from jobs.state.counters import Counters, increments, read_counters
from jobs.state.estimate import Run
from jobs.state.key_content import read_keys, write_keys
from jobs.state.lua import read_script
from jobs.state.model import JobRecord, Status
from jobs.state.secret_file import kept_secret
from pipeline.correction import STEP as CORRECT

if TYPE_CHECKING:
    from redis import Redis

BY_DAY: Final = "stats:processed:"
RUNS: Final = "stats:runs:"
"""Key prefixes: daily counts, and the last runs of a model."""

KEYS: Final = ("stats:*", "processing_times")
"""Patterns of all keys of the statistics."""

KEPT_TIMES: Final = 20
KEPT_RUNS: Final = 50
KEPT_COUNTED: Final = 10_000
DAYS_KEPT: Final = 400

SECRET_NAME: Final = "secret"  # noqa: S105 -- a file name
"""File in the data directory with the key with which users are counted."""

COUNTERS: Final = "stats:counters"
_COUNT: Final = read_script("count_ended")
"""May be called by everyone who notices that a job has ended: it counts once."""

_STARTED: Final = time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Usage so far. Days are counted in UTC; the average is over the last 20 jobs."""

    total_jobs_processed: int
    total_jobs_today: int
    unique_users: int
    average_processing_time_seconds: int
    jobs_in_queue: int
    uptime_hours: float


class Statistics:
    """Reads and writes `processing_times` and `stats:*`."""

    def __init__(self, client: Redis, data_dir: Path) -> None:
        self._client = client
        self._data_dir = data_dir
        self._count: Any = client.register_script(_COUNT)

    def record_end(self, record: JobRecord) -> bool:
        """Count an ended job, and store the durations of a complete one; False if this attempt has been counted."""
        keys = ["stats:counted", COUNTERS, "stats:total_processed", f"{BY_DAY}{now():%Y-%m-%d}", "processing_times"]
        steps = step_seconds(record)
        attempt: list[float | str] = [now().timestamp(), f"{record.id}:{record.attempt}", KEPT_COUNTED]
        arguments = [*attempt, json.dumps(increments(record, steps))]
        if record.status is Status.COMPLETE:
            seconds = record.processing_seconds
            if seconds is None:
                return False
            run = json.dumps({"voxels": record.voxels, "seconds": steps})
            arguments += [DAYS_KEPT * 86_400, round(seconds, 1), KEPT_TIMES - 1, run, KEPT_RUNS - 1]
        return bool(self._count(keys=[*keys, f"{RUNS}{record.outlined_by}"], args=arguments))

    def counters(self) -> Counters:
        """Totals of ended jobs."""
        fields: Any = self._client.hgetall(COUNTERS)
        return read_counters(fields)

    def history(self, record: JobRecord) -> list[Run]:
        """The last analyses with the model that a job uses, or of label maps, newest first."""
        return self.runs(record.outlined_by)

    def runs(self, model_id: str) -> list[Run]:
        """The last analyses with a model, newest first."""
        texts: Any = self._client.lrange(f"{RUNS}{model_id}", 0, KEPT_RUNS - 1)
        return [run for run in map(_run, texts) if run is not None]

    def by_day(self, days: Sequence[date]) -> list[int]:
        """Number of completed jobs per day (UTC)."""
        texts: Any = self._client.mget([f"{BY_DAY}{day:%Y-%m-%d}" for day in days]) if days else []
        return [int(_number(text) or 0) for text in texts]

    def content(self) -> list[dict[str, object]]:
        """All statistics as JSON values, for a backup."""
        return read_keys(self._client, KEYS)

    def restore(self, content: list[dict[str, object]]) -> None:
        """Write what `content` returned."""
        write_keys(self._client, content)

    def record_email(self, email: str) -> None:
        """Count an address without storing it: by its HMAC with a secret of this data directory."""
        digest = hmac.new(
            kept_secret(self._data_dir / SECRET_NAME), email.strip().lower().encode(), hashlib.sha256
        ).hexdigest()
        self._client.sadd("stats:unique_emails", digest)

    def total(self) -> int:
        """Number of jobs completed so far."""
        return int(_number(self._client.get("stats:total_processed")) or 0)

    def average_seconds(self) -> float | None:
        """Mean of the last 20 processing times; None if there are none."""
        texts: Any = self._client.lrange("processing_times", 0, KEPT_TIMES - 1)
        times = [seconds for seconds in map(_number, texts) if seconds is not None]
        return statistics.fmean(times) if times else None

    def summary(self, jobs_in_queue: int) -> Stats:
        """Usage so far."""
        total: Any = self._client.get("stats:total_processed")
        today: Any = self._client.get(f"{BY_DAY}{now():%Y-%m-%d}")
        users: Any = self._client.scard("stats:unique_emails")
        return Stats(
            total_jobs_processed=int(_number(total) or 0),
            total_jobs_today=int(_number(today) or 0),
            unique_users=int(users),
            average_processing_time_seconds=round(self.average_seconds() or 0),
            jobs_in_queue=jobs_in_queue,
            uptime_hours=round((time.monotonic() - _STARTED) / 3600, 3),
        )


def step_seconds(record: JobRecord) -> dict[str, float]:
    """Seconds of the ended steps of a job, by name. Those before a correction are of an earlier version."""
    found: dict[str, float] = {}
    for step in record.steps:
        if record.corrected and step.name == CORRECT:
            found = {}
        if step.seconds is not None:
            found[step.name] = step.seconds
    return found


def _run(text: str) -> Run | None:
    try:
        data = json.loads(text)
        return Run(voxels=int(data["voxels"]), seconds={str(name): float(s) for name, s in data["seconds"].items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None

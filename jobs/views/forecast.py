"""Predicts start and end of a job from running and waiting jobs and previous durations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobs.state.backend import Backend
from jobs.state.clock import now
from jobs.state.estimate import UNKNOWN_TIME_S, Run, expected_seconds, remaining_seconds
from jobs.state.model import JobRecord, Status
from jobs.state.statistics import step_seconds

MAX_AHEAD: Final = 20
"""Number of preceding jobs whose model and size are considered; the others are assumed to be like them on average. More
would make the answer about a waiting job slower with the length of the queue.
"""


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What the wait of every job depends on.

    free       number of workers without a job
    running_s  remaining seconds of the running jobs together
    seconds    expected seconds of the first waiting jobs; usual_s: of each later one
    """

    workers: int
    free: int
    running_s: float
    seconds: list[float]
    usual_s: float


class Forecast:
    """Forecast at one point in time; data is read on demand."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._histories: dict[str, list[Run]] = {}
        self._totals: dict[tuple[str, int], float] = {}
        self._average: float | None = None
        self._head: _Head | None = None

    def remaining_seconds(self, record: JobRecord) -> float:
        """Remaining seconds of a running job."""
        expected = expected_seconds(self._history(record), record.voxels)
        if not expected:
            return self._default_seconds() * (100 - record.progress_percent) / 100
        elapsed = 0.0 if record.started_at is None else (now() - record.started_at).total_seconds()
        states = {step.name: str(step.state) for step in record.steps}
        return remaining_seconds(expected, states, elapsed, sum(step_seconds(record).values()))

    def wait_seconds(self, position: int) -> float:
        """Seconds until the job at a position of the queue, from 1, starts: running and preceding jobs, divided by the
        active workers.
        """
        if self._head is None:
            self._head = self._read_head()
        head, ahead = self._head, max(0, position - 1)
        if ahead < head.free:
            return 0.0
        known = head.seconds[:ahead]
        return (head.running_s + sum(known) + (ahead - len(known)) * head.usual_s) / head.workers

    def _read_head(self) -> _Head:
        running = [
            record
            for record in self._backend.store.load_several(list(self._backend.queue.started()))
            if record.status is Status.PROCESSING
        ]
        workers = max(1, self._backend.queue.active_workers())
        free = max(0, workers - len(running))
        first = self._backend.store.load_several(self._backend.queue.first(MAX_AHEAD))
        seconds = [self._total_seconds(record) for record in first]
        return _Head(
            workers=workers,
            free=free,
            running_s=sum(map(self.remaining_seconds, running)),
            seconds=seconds,
            usual_s=sum(seconds) / len(seconds) if seconds else self._default_seconds(),
        )

    def _total_seconds(self, record: JobRecord) -> float:
        kind = (record.outlined_by, record.voxels)
        if kind not in self._totals:
            expected = expected_seconds(self._history(record), record.voxels)
            self._totals[kind] = sum(expected.values()) or self._default_seconds()
        return self._totals[kind]

    def _history(self, record: JobRecord) -> list[Run]:
        model = record.outlined_by
        if model not in self._histories:
            self._histories[model] = self._backend.statistics.history(record)
        return self._histories[model]

    def _default_seconds(self) -> float:
        """Seconds of an analysis without history for its model."""
        if self._average is None:
            average = self._backend.statistics.average_seconds()
            self._average = UNKNOWN_TIME_S if average is None else average
        return self._average

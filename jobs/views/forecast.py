"""Predicts start and end of a job from running and waiting jobs and previous durations."""

from __future__ import annotations

from typing import Final

from jobs.state.backend import Backend
from jobs.state.estimate import UNKNOWN_TIME_S, Run, expected_seconds, remaining_seconds
from jobs.state.model import JobRecord, Status, now
from jobs.state.statistics import step_seconds

MAX_AHEAD: Final = 200
"""Number of preceding jobs whose model and size are considered; the others are assumed to be average."""


class Forecast:
    """Forecast at one point in time; data is read on demand."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._histories: dict[str, list[Run]] = {}
        self._average: float | None = None
        self._waits: dict[str, float] | None = None

    def remaining_seconds(self, record: JobRecord) -> float:
        """Remaining seconds of a running job."""
        expected = expected_seconds(self._history(record), record.voxels)
        if not expected:
            return self._default_seconds() * (100 - record.progress_percent) / 100
        elapsed = 0.0 if record.started_at is None else (now() - record.started_at).total_seconds()
        states = {step.name: str(step.state) for step in record.steps}
        return remaining_seconds(expected, states, elapsed, sum(step_seconds(record).values()))

    def wait_seconds(self, record: JobRecord) -> float:
        """Seconds until a waiting job starts: running and preceding jobs, divided by the active workers."""
        if self._waits is None:
            self._waits = self._all_waits()
        return self._waits.get(record.id, 0.0)

    def _all_waits(self) -> dict[str, float]:
        waiting = list(dict.fromkeys(self._backend.queue.waiting()))
        running = [
            record
            for record in self._backend.store.load_several(list(self._backend.queue.started()))
            if record.status is Status.PROCESSING
        ]
        workers = max(1, self._backend.queue.active_workers())
        free = max(0, workers - len(running))
        before = sum(map(self.remaining_seconds, running))
        ahead = {
            record.id: self._total_seconds(record) for record in self._backend.store.load_several(waiting[:MAX_AHEAD])
        }
        usual = sum(ahead.values()) / len(ahead) if ahead else self._default_seconds()
        waits = {}
        for place, job_id in enumerate(waiting):
            waits[job_id] = 0.0 if place < free else before / workers
            before += ahead.get(job_id, usual)
        return waits

    def _total_seconds(self, record: JobRecord) -> float:
        expected = expected_seconds(self._history(record), record.voxels)
        return sum(expected.values()) or self._default_seconds()

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

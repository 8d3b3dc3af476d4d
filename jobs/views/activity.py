"""Completed and current work of the server, for the statistics page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.estimate import Run
from jobs.state.queue import queue_errors
from pipeline.segmentation.registry import models as segmentation_models

DAYS: Final = 30


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """Number of jobs completed on a day (UTC)."""

    day: date
    jobs: int


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Median seconds of a step, over the runs in which it ran."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ModelTimes:
    """Times of the last runs with a model: number of runs (at most 50), median seconds of a run and of each step.

    steps: in the order in which they run.
    """

    id: str
    title: str
    runs: int
    seconds: float
    steps: tuple[StepTime, ...]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Work of the last DAYS days and current work.

    days               oldest first, today last
    models             models that have run
    waiting, running   number of jobs
    workers            number of workers with a heartbeat in the last 15 s
    """

    days: tuple[DayCount, ...]
    models: tuple[ModelTimes, ...]
    waiting: int
    running: int
    workers: int


@queue_errors()
def activity() -> Activity:
    """Work of the last DAYS days and current work. The cost does not depend on the number of jobs.

    Raises QueueUnavailable.
    """
    backend = open_backend()
    today = now().date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    counts = backend.statistics.by_day(days)
    models = []
    for card in (model.card for model in segmentation_models(backend.settings.resources)):
        runs = [run for run in backend.statistics.runs(card.id) if run.seconds]
        if runs:
            models.append(model_times(card.id, card.title, runs))
    return Activity(
        days=tuple(DayCount(day=day, jobs=count) for day, count in zip(days, counts, strict=True)),
        models=tuple(models),
        waiting=backend.queue.length(),
        running=len(backend.queue.started()),
        workers=backend.queue.active_workers(),
    )


def model_times(id: str, title: str, runs: Sequence[Run]) -> ModelTimes:
    """Medians over the runs with a model; `runs` must not be empty."""
    names = dict.fromkeys(name for run in runs for name in run.seconds)
    return ModelTimes(
        id=id,
        title=title,
        runs=len(runs),
        seconds=statistics.median(sum(run.seconds.values()) for run in runs),
        steps=tuple(
            StepTime(name=name, seconds=statistics.median(run.seconds[name] for run in runs if name in run.seconds))
            for name in names
        ),
    )

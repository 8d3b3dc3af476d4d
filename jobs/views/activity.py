"""What the server has done and is doing: figures for the page of statistics."""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import Any, Final

from jobs.state.backend import open_backend
from jobs.state.estimate import Run
from jobs.state.model import now
from jobs.state.queue import queue_errors
from pipeline.segmentation.registry import models as segmentation_models

DAYS: Final = 30


@queue_errors()
def activity() -> dict[str, Any]:
    """Work of the last DAYS days, and the work at hand. A few reads by key, however many jobs there are.

    days     day (ISO date, UTC), jobs (completed); oldest first, today last
    models   id, title, runs (how many of the last 50 are known), seconds (median of a whole run), steps (name, seconds:
             median where it ran); only models that have run
    waiting, running  jobs; workers  heard of within 15 s
    """
    backend = open_backend()
    today = now().date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    counts = backend.statistics.by_day(days)
    models = []
    for card in (model.card for model in segmentation_models(backend.settings.resources)):
        runs = [run for run in backend.statistics.runs(card.id) if run.seconds]
        if runs:
            models.append({"id": card.id, "title": card.title} | summary(runs))
    return {
        "days": [{"day": f"{day:%Y-%m-%d}", "jobs": count} for day, count in zip(days, counts, strict=True)],
        "models": models,
        "waiting": backend.queue.length(),
        "running": len(backend.queue.started()),
        "workers": backend.queue.living_workers(),
    }


def summary(runs: list[Run]) -> dict[str, Any]:
    """Medians over runs: of the whole and of each step, in the order in which the steps run."""
    names = dict.fromkeys(name for run in runs for name in run.seconds)
    return {
        "runs": len(runs),
        "seconds": statistics.median(sum(run.seconds.values()) for run in runs),
        "steps": [
            {"name": name, "seconds": statistics.median(run.seconds[name] for run in runs if name in run.seconds)}
            for name in names
        ],
    }

"""The services that every entry point uses for jobs, created once per process from the settings."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from jobs.errors import QueueUnavailable
from jobs.settings import Settings, load_settings
from jobs.state.queue import AnalysisQueue, text_client
from jobs.state.statistics import Statistics
from jobs.state.storage import Storage
from jobs.state.store import JobStore


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Files, records, queue and statistics."""

    settings: Settings
    storage: Storage
    store: JobStore
    queue: AnalysisQueue
    statistics: Statistics


def open_backend() -> Backend:
    """The backend of the process. Raises QueueUnavailable if no server is known."""
    url = load_settings().effective_redis_url
    if url is None:
        raise QueueUnavailable("No job queue is running.", hint="Start everything with `make run`, or set REDIS_URL.")
    return _backend_of(url)


@functools.lru_cache(maxsize=1)
def _backend_of(url: str) -> Backend:
    settings = load_settings()
    client = text_client(url)
    return Backend(
        settings=settings,
        storage=Storage(settings.data_dir),
        store=JobStore(client),
        queue=AnalysisQueue(url),
        statistics=Statistics(client, settings.data_dir),
    )

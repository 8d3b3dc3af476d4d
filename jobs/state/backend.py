"""The services that every entry point uses for jobs, created once per process from the settings."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.errors import QueueUnavailable
from jobs.settings import Settings, load_settings
from jobs.state.clock import follow
from jobs.state.data_dir import claim_data_dir
from jobs.state.queue import AnalysisQueue, queue_errors, text_client
from jobs.state.room import Room
from jobs.state.statistics import Statistics
from jobs.state.storage import Storage
from jobs.state.store import JobStore
from jobs.state.study_queue import StudyQueue

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Files, records, queue, statistics and reservations; studies: the queue of their parts.

    client: their connection, with str responses
    """

    settings: Settings
    storage: Storage
    store: JobStore
    queue: AnalysisQueue
    studies: StudyQueue
    statistics: Statistics
    room: Room
    client: redis.Redis


def open_backend() -> Backend:
    """The backend of the process. Raises QueueUnavailable if no server is known."""
    url = load_settings().effective_redis_url
    if url is None:
        raise QueueUnavailable("No job queue is running.", hint="Start everything with `make run`, or set REDIS_URL.")
    backend = _backend_of(url)
    with contextlib.suppress(QueueUnavailable), queue_errors():
        follow(backend.client)
    return backend


@functools.lru_cache(maxsize=1)
def _backend_of(url: str) -> Backend:
    settings = load_settings()
    client = text_client(url)
    storage = Storage(settings.data_dir)
    with contextlib.suppress(QueueUnavailable), queue_errors():  # a worker repeats it
        claim_data_dir(client, storage)
    queue = AnalysisQueue(url)
    return Backend(
        settings=settings,
        client=client,
        room=Room(client, storage),
        storage=storage,
        store=JobStore(client),
        queue=queue,
        studies=StudyQueue(queue.connection, client),
        statistics=Statistics(client, settings.data_dir),
    )

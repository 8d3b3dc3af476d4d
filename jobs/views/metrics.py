"""Figures of the service for monitoring. They come from Redis and the disk, so every process gives the same ones; the
cost does not depend on the number of jobs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.settings import load_settings
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.counters import Counters, read_counters
from jobs.state.data_dir import claim_data_dir
from jobs.state.disk_use import DiskUse, read_disk_use
from jobs.state.model import RECORD_VERSION
from jobs.state.queue import queue_errors
from jobs.state.refusals import read_refusals, refusals
from jobs.state.workers import WorkerState
from pipeline.report.provenance import collect_program

STUDY_PRIORITY: Final = "study"
"""Parts of studies, which wait while a single job waits."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """number: of waiting entries; oldest_s: since the one that waits longest was queued; 0 without one."""

    number: int
    oldest_s: float


@dataclass(frozen=True, kw_only=True)
class QueueMetrics:
    """What Redis knows.

    oldest_wait_s  since the entry that waits longest was queued; 0 for an empty queue
    records        number of jobs that exist, in any state
    refusals       error code -> requests that were answered with it
    own_data       whether the data directory is that of the queue
    priorities     priority, or STUDY_PRIORITY -> what waits
    """

    waiting: int
    running: int
    oldest_wait_s: float
    records: int
    workers: list[WorkerState]
    counters: Counters = field(default_factory=lambda: read_counters({}))
    refusals: dict[str, int] = field(default_factory=dict)
    disk_use: DiskUse | None = None
    accepts_writes: bool = False
    own_data: bool = False
    priorities: dict[str, Waiting] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """All figures. queue: None if Redis does not respond. program: version and commit, where known"""

    program: dict[str, str]
    record_version: int
    disk_free_bytes: int
    disk_size_bytes: int
    queue: QueueMetrics | None


def metrics() -> Metrics:
    """The present figures. Does not raise."""
    disk_size = disk_free = 0
    try:
        usage = shutil.disk_usage(load_settings().data_dir)
        disk_size, disk_free = usage.total, usage.free
    except OSError:  # the data directory is missing
        pass
    try:
        queue = _queue_metrics()
    except QueueUnavailable:
        queue = None
    return Metrics(
        program=collect_program(),
        record_version=RECORD_VERSION,
        disk_free_bytes=disk_free,
        disk_size_bytes=disk_size,
        queue=queue,
    )


@queue_errors()
def _queue_metrics() -> QueueMetrics:
    refusals.flush()
    backend = open_backend()
    client = backend.client
    return QueueMetrics(
        waiting=backend.queue.length(),
        running=len(backend.queue.started()),
        oldest_wait_s=_oldest_wait_s(backend),
        records=backend.store.count(),
        workers=backend.queue.workers(),
        counters=backend.statistics.counters(),
        refusals=read_refusals(client),
        disk_use=read_disk_use(client),
        accepts_writes=backend.queue.accepts_writes(),
        own_data=claim_data_dir(client, backend.storage),
        priorities=_priorities(backend),
    )


def _priorities(backend: Backend) -> dict[str, Waiting]:
    moment = now()
    found = {
        priority.value: Waiting(number=number, oldest_s=max(0.0, (moment - since).total_seconds()) if since else 0.0)
        for priority, (number, since) in backend.queue.by_priority().items()
    }
    parts = Waiting(number=backend.studies.length(), oldest_s=backend.studies.oldest_wait_s())
    return found | {STUDY_PRIORITY: parts}


def _oldest_wait_s(backend: Backend) -> float:
    moment = now()
    times = backend.queue.queued_since(backend.queue.oldest())
    return max([0.0, *((moment - time).total_seconds() for time in times)])

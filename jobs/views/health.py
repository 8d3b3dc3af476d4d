"""Current state of the server: models, queue, worker, disk, GPU."""

from __future__ import annotations

import contextlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.errors import QueueUnavailable
from jobs.settings import load_settings
from jobs.state.backend import open_backend
from jobs.state.queue import queue_errors
from jobs.state.storage import RESERVE_BYTES, Storage
from jobs.views.models import models


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the service can work.

    status    healthy; degraded: see problems; unhealthy: the queue is not responding or refuses to write
    weights   model id -> available
    problems  for the operator, one sentence each
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    redis: Literal["connected", "unavailable"]
    worker: Literal["available", "unavailable"]
    gpu: Literal["available", "unavailable"]
    disk_free_bytes: int
    weights: dict[str, bool]
    problems: list[str]


def health() -> Health:
    """Check queue, worker, disk, GPU and models. Never raises."""
    redis_up = writes = worker_up = False
    with contextlib.suppress(QueueUnavailable), queue_errors():
        backend = open_backend()
        redis_up = backend.queue.ping()
        worker_up = backend.queue.active_workers() > 0
        writes = backend.queue.accepts_writes()
    weights = {model.card.id: model.availability.available for model in models()}
    free = Storage(load_settings().data_dir).free_bytes()
    problems = [
        text
        for text, found in (
            ("The job queue is not responding.", not redis_up),
            ("The job queue refuses to write: its memory or its disk is full.", redis_up and not writes),
            ("No worker has sent a heartbeat for 15 s: jobs are not processed.", redis_up and not worker_up),
            ("The disk is full: uploads are rejected.", free < RESERVE_BYTES),
            ("No segmentation model is installed.", not any(weights.values())),
        )
        if found
    ]
    return Health(
        status="unhealthy" if not writes else "degraded" if problems else "healthy",
        redis="connected" if redis_up else "unavailable",
        worker="available" if worker_up else "unavailable",
        gpu="available" if _gpu_usable() else "unavailable",
        disk_free_bytes=free,
        weights=weights,
        problems=problems,
    )


def _gpu_usable() -> bool:
    """Whether a CUDA device and its runtime are available; checked without loading them."""
    if load_settings().device == "cpu" or not Path("/dev/nvidiactl").exists():
        return False
    return any(item.metadata["Name"] == "onnxruntime-gpu" for item in importlib.metadata.distributions())

"""What this server can do right now: models, queue, worker, disk, graphics card."""

from __future__ import annotations

import contextlib
import importlib.metadata
from pathlib import Path
from typing import Any

from jobs.backend import backend
from jobs.errors import QueueUnavailable
from jobs.queue import queue_errors
from jobs.settings import load_settings
from jobs.storage import Storage
from pipeline.segmentation.catalogue import CATALOGUE, availability
from pipeline.types import Resources


def models() -> list[dict[str, Any]]:
    """The model cards, default first: ModelCard.to_dict() and available, source (built-in, installed), reason."""
    settings = load_settings()
    resources = Resources(models_dir=settings.models_dir, device=settings.device)
    cards = []
    for entry in CATALOGUE:
        state = availability(entry, resources)
        cards.append(entry.to_dict() | {"available": state.available, "source": state.source, "reason": state.reason})
    return cards


def health() -> dict[str, Any]:
    """Whether the service can work: status (healthy, degraded, unhealthy), redis, worker, gpu, disk_free_bytes,
    weights {model id: available}. Never raises.
    """
    redis_up = worker_up = False
    with contextlib.suppress(QueueUnavailable), queue_errors():
        here = backend()
        redis_up = here.queue.ping()
        worker_up = here.queue.worker_alive()
    weights = {model["id"]: model["available"] for model in models()}
    status = "unhealthy" if not redis_up else "healthy" if worker_up and any(weights.values()) else "degraded"
    return {
        "status": status,
        "redis": "connected" if redis_up else "unavailable",
        "worker": "available" if worker_up else "unavailable",
        "gpu": "available" if _gpu_usable() else "unavailable",
        "disk_free_bytes": Storage(load_settings().data_dir).free_bytes(),
        "weights": weights,
    }


def _gpu_usable() -> bool:
    """A CUDA device and the runtime for it; asked without loading either."""
    if load_settings().device == "cpu" or not Path("/dev/nvidiactl").exists():
        return False
    return any(item.metadata["Name"] == "onnxruntime-gpu" for item in importlib.metadata.distributions())

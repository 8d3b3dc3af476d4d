"""Current state of the server: models, queue, worker, disk, GPU."""

from __future__ import annotations

import contextlib
import importlib.metadata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jobs.errors import QueueUnavailable
from jobs.settings import load_settings
from jobs.state.backend import open_backend
from jobs.state.queue import queue_errors
from jobs.state.storage import RESERVE_BYTES, Storage
from pipeline.comparison.reproducibility import read_reproducibility, reproducibility_path
from pipeline.digest import digest_of
from pipeline.segmentation import registry
from pipeline.segmentation.identity import named_digests
from pipeline.segmentation.segmenter import facts
from pipeline.shape.built_in.model import built_in_shapes
from pipeline.shape.installed import installed_shapes


def models() -> list[dict[str, Any]]:
    """Facts of every segmentation model that can be chosen, the default first (segmenter.facts), and:

    available, reason; repeatability: comparison.Reproducibility, None if not measured for this model
    """
    cards = []
    for model in registry.models(load_settings().resources):
        state = model.availability()
        known = read_reproducibility(reproducibility_path(model.card))
        repeatability = asdict(known) | {"digests": named_digests(known.digests)} if known.regions else None
        cards.append(
            facts(model) | {"available": state.available, "reason": state.reason, "repeatability": repeatability}
        )
    return cards


def model_picture(model_id: str) -> Path | None:
    """A built-in model's outlines on every slice of a real scan; None for others and if there is none."""
    return next((model.card.picture for model in registry.built_in_models() if model.card.id == model_id), None)


def shape_models() -> list[dict[str, Any]]:
    """The built-in shape model, then installed ones; with the known keys of `models`."""
    built_in = built_in_shapes()[0]
    problem = built_in.problem
    if not problem and digest_of(built_in.weights) != built_in.card["sha256"]:
        problem = "weights file is damaged"
    cards = [built_in.to_dict() | {"available": not problem, "source": "built-in", "reason": problem}]
    empty = dict.fromkeys(cards[0], "") | {"family": "shape", "sequences": [], "structures": [], "accuracy": {}}
    for model in installed_shapes(load_settings().resources):
        names = {"id": f"nsm/{model.name}", "title": f"Shape model {model.name}"}
        state = {"available": not model.problem, "source": "installed", "reason": model.problem}
        cards.append(empty | names | state)
    return cards


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
        worker_up = backend.queue.living_workers() > 0
        writes = backend.queue.accepts_writes()
    weights = {model["id"]: model["available"] for model in models()}
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

"""Current state of the server: models, queue, worker, disk, GPU."""

from __future__ import annotations

import contextlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from jobs.errors import QueueUnavailable
from jobs.settings import load_settings
from jobs.state.backend import open_backend
from jobs.state.clock import MOST_SKEW_S, skew_s
from jobs.state.data_dir import claim_data_dir
from jobs.state.orders import OPERATOR
from jobs.state.queue import queue_errors
from jobs.state.storage import RESERVE_BYTES, Storage
from jobs.state.workers import WorkerState
from jobs.views.models import models
from pipeline.decoding.protection import Protection, protection

MISSING: Final = (
    "The data directory of this queue is missing: mount it, or, if it was replaced on purpose, run "
    "`python -m jobs adopt`."
)


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the service can work.

    status    healthy; degraded: see problems; unhealthy: the queue is not responding or refuses to write
    weights   model id -> available
    problems  for the operator, one sentence each
    paused    `paused by the operator` or `paused: <fault>` if all live workers are; else empty
    research_copies  what copies of consenting users' results are kept for; empty: none are kept
    sandbox   what the kernel enforces for native code that reads uploads, on the machine that answers
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    redis: Literal["connected", "unavailable"]
    worker: Literal["available", "unavailable"]
    gpu: Literal["available", "unavailable"]
    disk_free_bytes: int
    weights: dict[str, bool]
    problems: list[str]
    paused: str
    research_copies: str
    sandbox: Protection


def health() -> Health:
    """Check queue, worker, disk, GPU and models. Never raises."""
    redis_up = writes = own_data = False
    workers: list[WorkerState] = []
    with contextlib.suppress(QueueUnavailable), queue_errors():
        backend = open_backend()
        redis_up = backend.queue.ping()
        workers = backend.queue.workers()
        writes = backend.queue.accepts_writes()
        own_data = claim_data_dir(backend.client, backend.storage)
    weights = {model.card.id: model.availability.available for model in models()}
    storage = Storage(load_settings().data_dir)
    free = storage.free_bytes()
    problems = [
        text
        for text, found in (
            ("The job queue is not responding.", not redis_up),
            ("The job queue refuses to write: its memory or its disk is full.", redis_up and not writes),
            ("No worker has sent a heartbeat for 15 s: jobs are not processed.", redis_up and not workers),
            (MISSING, redis_up and writes and not own_data),
            ("The disk is full: uploads are rejected.", free < RESERVE_BYTES and bool(storage.identity())),
            ("No segmentation model is installed.", not any(weights.values())),
        )
        if found
    ]
    problems += [text for text in _of_workers(workers) if text not in problems]
    return Health(
        status="unhealthy" if not writes else "degraded" if problems else "healthy",
        redis="connected" if redis_up else "unavailable",
        worker="available" if workers else "unavailable",
        gpu="available" if _gpu_usable() else "unavailable",
        disk_free_bytes=free,
        weights=weights,
        problems=problems,
        paused=_pause_words(workers[0]) if workers and all(worker.paused for worker in workers) else "",
        research_copies=load_settings().purpose_of_copies,
        sandbox=protection(),
    )


def _pause_words(worker: WorkerState) -> str:
    """`paused by the operator` or `paused: <fault>`."""
    link = "" if worker.cause == OPERATOR else ":"
    return f"paused{link} {worker.paused}"


def _of_workers(workers: list[WorkerState]) -> list[str]:
    """Problems that the workers report, and clocks that differ."""
    texts = [f"A worker is {_pause_words(worker)}." for worker in workers if worker.paused]
    texts += [f"Locks: {worker.locks}; jobs are kept apart by their attempts." for worker in workers if worker.locks]
    clocks = {"this machine": skew_s()} | {f"worker {worker.name[:8]}": worker.skew_s for worker in workers}
    texts += [
        f"The clock of {name} is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of the queue: set it."
        for name, skew in clocks.items()
        if abs(skew) > MOST_SKEW_S
    ]
    return list(dict.fromkeys(texts))


def _gpu_usable() -> bool:
    """Whether a CUDA device and its runtime are available; checked without loading them."""
    if load_settings().device == "cpu" or not Path("/dev/nvidiactl").exists():
        return False
    return any(item.metadata["Name"] == "onnxruntime-gpu" for item in importlib.metadata.distributions())

"""Corrections of outlines: from saving a correction of one structure to its numbers, and the bytes that are sent."""

from __future__ import annotations

import base64
import json
import time
from typing import Final

import httpx
import numpy as np
import psutil

from bench.service.figures import Figure
from bench.service.inside import small_knee
from bench.service.site import SAMPLE, running_site, wait_for
from pipeline.anatomy import Structure
from pipeline.label_runs import packed_runs
from pipeline.types import LabelArray

LONGEST_S: Final = 6.0
MOST_BYTES: Final = 200_000
STROKES: Final = 50
RADIUS: Final = 4
STRUCTURE: Final = Structure.FEMORAL_CARTILAGE


def figures(*, short: bool) -> list[Figure]:
    """On the sample knee; short: on a small one."""
    with running_site() as site:
        site.start_queue()
        worker = site.start_worker()
        site.start_api()
        with httpx.Client(base_url=site.url, timeout=120) as client:
            content = small_knee() if short else SAMPLE.read_bytes()
            form = {"perform_nsm": "false"}
            job = client.post("/upload", files={"file": ("knee.nii.gz", content)}, data=form).json()["job_id"]
            _await(client, job, 600)
            before = _labels(client, job)
            edited = _stroked(before)
            packed = base64.b64encode(packed_runs(before, edited)).decode()
            body = json.dumps({"runs": packed, "newest": 1}).encode()
            used = _cpu_s(worker.pid)
            begun = time.monotonic()
            saved = client.post(f"/jobs/{job}/versions", content=body, headers={"content-type": "application/json"})
            checked = time.monotonic() - begun
            version = saved.json()["id"]
            _await(client, version, 600)
            seconds, used = time.monotonic() - begun, _cpu_s(worker.pid) - used
            same = bool(np.array_equal(_labels(client, version), edited))
    return [
        Figure(
            bar=f"save to new numbers, one structure, at most {LONGEST_S:.0f} s",
            measured=f"{seconds:.1f} s (checked in {checked:.1f} s; {used:.1f} s of processor time in the worker)",
            met=seconds <= LONGEST_S,
            timed=True,
        ),
        Figure(
            bar=f"bytes of {STROKES} strokes, at most {MOST_BYTES // 1000} kB",
            measured=f"{len(body) / 1000:.1f} kB",
            met=len(body) <= MOST_BYTES,
        ),
        Figure(bar="voxels of the version as edited", measured="identical" if same else "different", met=same),
    ]


def _cpu_s(pid: int) -> float:
    """Processor time of a worker and of its ended and running children."""
    process = psutil.Process(pid)
    times = [process.cpu_times(), *(child.cpu_times() for child in process.children(recursive=True))]
    return sum(item.user + item.system for item in times) + times[0].children_user + times[0].children_system


def _await(client: httpx.Client, job_id: str, seconds: float) -> None:
    def over() -> bool:
        return client.get(f"/status/{job_id}").json()["status"] in ("complete", "error")

    wait_for(over, seconds, "the end of a job")
    client.get(f"/download/{job_id}").raise_for_status()


def _labels(client: httpx.Client, job_id: str) -> LabelArray:
    shape = client.get(f"/jobs/{job_id}/view/slices.json").json()["shape"]
    return np.frombuffer(client.get(f"/jobs/{job_id}/view/labels.bin").content, dtype=np.uint8).reshape(shape)


def _stroked(labels: LabelArray) -> LabelArray:
    """Balls of one structure over background along its border, and some erased."""
    places = np.argwhere(labels == STRUCTURE)
    result = labels.copy()
    for number, place in enumerate(places[:: max(1, len(places) // STROKES)][:STROKES]):
        low = np.maximum(place - RADIUS, 0)
        part = tuple(slice(a, b + RADIUS + 1) for a, b in zip(low, place, strict=True))
        index = np.indices(result[part].shape).transpose(1, 2, 3, 0) + low
        ball = ((index - place) ** 2).sum(axis=-1) <= RADIUS**2
        wanted, below = (int(STRUCTURE), 0) if number % 2 else (0, int(STRUCTURE))
        result[part][ball & (result[part] == below)] = wanted
    return result

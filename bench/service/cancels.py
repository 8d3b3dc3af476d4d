"""Cancelling jobs while progress is written, and cancelling running jobs."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import time
from multiprocessing.synchronize import Event

import psutil

from bench.service.figures import Figure
from bench.service.inside import WHOLE_MM, Inside, small_knee
from bench.service.site import ROOT, Site, running_site, wait_for
from jobs.state.clock import now
from jobs.state.model import CANCELLED, JobRecord, Status
from jobs.state.queue import text_client
from jobs.state.store import JobStore
from pipeline.progress import StepState

WRITERS = 2


def figures(*, short: bool) -> list[Figure]:
    """400 cancels while two processes write progress, 10 of running work; 60 and 1 in the short form."""
    with running_site() as site:
        site.start_queue()
        inside = Inside(site)
        contested = _contested(site, inside, 60 if short else 400)
        running = _running(site, inside, 1 if short else 10)
    return [contested, *running]


def _contested(site: Site, inside: Inside, count: int) -> Figure:
    """Cancel jobs one after the other while two processes write their progress at the maximum rate."""
    ids = [f"contested-{number}" for number in range(count)]
    for job_id in ids:
        record = JobRecord(id=job_id, status=Status.PROCESSING, attempt=1, created_at=now())
        inside.queue.enqueue(record)
        inside.storage.write_record(record)
    fresh = multiprocessing.get_context("spawn")
    stop, written = fresh.Event(), fresh.Value("q", 0)
    url = (site.folder / "valkey" / "url").read_text(encoding="utf-8").strip()
    writers = [fresh.Process(target=_write_progress, args=(url, ids, stop, written)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    wait_for(lambda: written.value > count, 60, "progress of every job")
    _cancel(site, *ids)
    stop.set()
    for writer in writers:
        writer.join()
    records = inside.records()
    lost = sum(records[job_id].error_code != CANCELLED for job_id in ids)
    lost += sum(job_id in inside.queue.waiting() for job_id in ids)
    inside.client.flushall()
    return Figure(
        bar=f"0 of {count} cancels lost while progress is written",
        measured=f"{lost} lost during {written.value} writes of progress",
        met=lost == 0,
    )


def _write_progress(url: str, ids: list[str], stop: Event, written: object) -> None:
    store = JobStore(text_client(url))
    percent = 0
    while not stop.is_set():
        percent = (percent + 1) % 100
        for job_id in ids:
            accepted = store.merge(job_id, 1, {"progress_percent": percent, "status": Status.PROCESSING})
            written.value += accepted  # type: ignore[attr-defined]  # a lost count is harmless
            if stop.is_set():
                return


def _cancel(site: Site, *ids: str) -> None:
    program = f"from jobs import service\nfor job_id in {ids!r}:\n    service.cancel(job_id)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=site.environment, check=True)


def _running(site: Site, inside: Inside, count: int) -> list[Figure]:
    server = site.start_api()
    worker = psutil.Process(site.start_worker().pid)
    import httpx

    seconds, left = [], 0
    assert server.poll() is None
    with httpx.Client(base_url=site.url, timeout=30) as client:
        for number in range(count):
            answer = client.post("/upload", files={"file": ("knee.nii.gz", small_knee(part=WHOLE_MM))})
            job_id = answer.json()["job_id"]
            wait_for(lambda job_id=job_id: _outlining(inside, job_id), 60, "a running job")
            time.sleep(0.3 * (number % 5))
            horses = worker.children(recursive=True)
            assert horses, "a running job has a process"
            begun = time.monotonic()
            assert client.post(f"/jobs/{job_id}/cancel").status_code == 202
            while any(_lives(horse) for horse in horses) and time.monotonic() - begun < 10:
                time.sleep(0.005)
            seconds.append(time.monotonic() - begun)
            time.sleep(0.2)
            left += len(worker.children(recursive=True))
    slowest = max(seconds)
    middle = statistics.median(seconds)
    return [
        Figure(
            bar="cancel of a running job <= 1 s",
            measured=f"maximum {slowest:.2f} s, median {middle:.2f} s, of {count}",
            met=slowest <= 1,
        ),
        Figure(bar="0 processes left", measured=f"{left} after {count} cancels", met=left == 0),
    ]


def _outlining(inside: Inside, job_id: str) -> bool:
    record = inside.store.load(job_id)
    running = [step.name for step in record.steps if step.state is StepState.RUNNING] if record else []
    return running == ["segment"]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

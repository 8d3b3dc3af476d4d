"""The most frequent requests with 10,000 finished jobs in the store and with very few.

Two complete sites run in parallel and are queried alternately, so that other load on the machine affects both. Both are
filled before either server starts: otherwise the one that started later would be asked while it still starts.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Final
from uuid import uuid4

import httpx

from bench.service.asking import LISTED
from bench.service.figures import Figure
from bench.service.inside import Inside
from bench.service.site import ROOT, Site, running_site
from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from jobs.state.statistics import Statistics
from pipeline.progress import StepRecord, StepState
from pipeline.steps import STEPS

MOST: Final = 1.5
ROUNDS: Final = 3
"""Other load may slow one of two servers for a whole round; a store that slows requests slows every round."""
WARM_UP: Final = 20
"""The first requests open connections and fill caches."""
INTERVAL_S: Final = 5.0
MOST_OF_INTERVAL: Final = 0.05
"""A worker runs these passes every 5 s: each may take 5 % of that."""


Ask = Callable[[], float]
"""Sends one request; returns milliseconds."""


def figures(*, short: bool) -> list[Figure]:
    """Run with 10,000 jobs and 200 requests of each kind; `short`: 1,000 and 60."""
    jobs, questions = (1_000, 60) if short else (10_000, 200)
    with running_site() as small, running_site() as full, asking(small) as of_small, asking(full) as of_full:
        few, many = _filled(small, LISTED), _filled(full, jobs)
        for site in (small, full):
            site.start_api()
        pairs: dict[str, tuple[Ask, Ask]] = {
            "/status": (get(small, f"/status/{few}"), get(full, f"/status/{many}")),
            "/stats": (get(small, "/stats"), get(full, "/stats")),
            f"the list of the newest {LISTED} jobs": (lambda: of_small("list"), lambda: of_full("list")),
        }
        found = [compared(what, *pair, jobs=jobs, few=LISTED, questions=questions) for what, pair in pairs.items()]
        return [*found, *(_chore(what, of_full, jobs) for what in ("reconcile", "purge"))]


def compared(what: str, of_small: Ask, of_full: Ask, *, jobs: int, few: int, questions: int) -> Figure:
    for _ in range(WARM_UP):
        of_small(), of_full()
    for _ in range(ROUNDS):
        times = [(of_small(), of_full()) for _ in range(questions)]
        # Other load only adds time, often to one of two requests: the quicker ones show what the request itself costs.
        small, full = (statistics.quantiles(column, n=4)[0] for column in zip(*times, strict=True))
        if full <= MOST * small:
            break
    return Figure(
        bar=f"{what} within {MOST} x with {jobs:,} finished jobs",
        measured=f"{full / small:.2f} x: {full:.1f} ms, {small:.1f} ms with {few} (lower quartiles of {questions})",
        met=full <= MOST * small,
    )


def _chore(what: str, ask: Callable[[str], float], jobs: int) -> Figure:
    first, *later = [ask(what) for _ in range(6)]
    usual = statistics.median(later)
    return Figure(
        bar=f"{what}: a pass over {jobs:,} finished jobs <= {MOST_OF_INTERVAL:.0%} of its interval",
        measured=f"{usual:.0f} ms every {INTERVAL_S:.0f} s; {first:.0f} ms the first time",
        met=usual <= 1000 * INTERVAL_S * MOST_OF_INTERVAL,
    )


def get(site: Site, path: str) -> Ask:
    client = httpx.Client(base_url=site.url, timeout=30)

    def ask() -> float:
        start = time.perf_counter()
        client.get(path).raise_for_status()
        return 1000 * (time.perf_counter() - start)

    return ask


@contextlib.contextmanager
def asking(site: Site) -> Iterator[Callable[[str], float]]:
    """Query a process that uses the site's settings."""
    site.start_queue()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.service.asking"],
        cwd=ROOT,
        env=site.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None

        def ask(what: str) -> float:
            asked.write(f"{what}\n")
            asked.flush()
            return float(answered.readline())

        yield ask
        asked.close()


def _filled(site: Site, jobs: int) -> str:
    """Fill the site with finished jobs, records and folders; returns the ID of one job."""
    inside = Inside(site)
    pipe = inside.client.pipeline(transaction=False)
    numbers = Statistics(inside.client, site.folder)
    for number in range(jobs):
        record = finished_record(number)
        folder = inside.storage.folder(record.id)
        results = folder / "attempts" / "1" / "results"
        results.mkdir(parents=True)
        text = record.to_json()
        folder.joinpath("job.json").write_text(text, encoding="utf-8")
        manifest = {"archive_bytes": 1, "warnings": record.warnings, "steps": [asdict(step) for step in record.steps]}
        results.joinpath("manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        assert record.created_at is not None
        pipe.hset("jobs", record.id, text)
        pipe.zadd("jobs:created", {record.id: record.created_at.timestamp()})
        if number % 1000 == 0:
            pipe.execute()
        numbers.record_end(record)
    pipe.execute()
    return record.id


def finished_record(number: int) -> JobRecord:
    """A job that ended some hours ago, of realistic size."""
    started = now() - timedelta(hours=12) + timedelta(seconds=number)
    steps = [StepRecord(name=step.name, title=step.title, state=StepState.DONE, seconds=2.5) for step in STEPS]
    job_id = str(uuid4())
    return JobRecord(
        id=job_id,
        input_filename="knee.nii.gz",
        input_path="input/upload.nii.gz",
        options={"segmentation_model": "nnunet_fullres", "side": "auto", "cartilage_smoothing": 0.3125},
        status=Status.COMPLETE,
        created_at=started,
        started_at=started,
        completed_at=started + timedelta(seconds=25),
        progress_percent=100,
        current_step=len(STEPS),
        total_steps=len(STEPS),
        step_name="Complete",
        result_path="attempts/1/results/results.zip",
        result_size_bytes=1,
        attempt=1,
        voxels=23_592_960,
        steps=steps,
        expires_at=now() + timedelta(hours=12),
    )

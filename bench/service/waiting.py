"""/status of a waiting job with 10,000 jobs in the queue and with an empty one; /metrics with 10,000."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from uuid import uuid4

import httpx

from bench.service.figures import Figure
from bench.service.inside import Inside
from bench.service.site import Site, running_site
from bench.service.store_size import STEPS
from jobs.state.clock import now
from jobs.state.model import JobRecord
from jobs.state.rq_adapter import QUEUE_KEY
from jobs.state.statistics import Statistics
from pipeline.progress import StepRecord, StepState

MOST = 1.5
MOST_METRICS_MS = 30.0
RUNS = 30


def figures(*, short: bool) -> list[Figure]:
    """10,000 waiting jobs and 300 requests of each kind; `short`: 1,000 and 60."""
    jobs, questions = (1_000, 60) if short else (10_000, 300)
    with running_site() as empty, running_site() as full:
        (only,), ids = _ready(empty, 1), _ready(full, jobs)
        with httpx.Client(base_url=empty.url) as few, httpx.Client(base_url=full.url) as many:
            found = []
            for name, job_id in (("first", ids[0]), ("middle", ids[jobs // 2]), ("last", ids[-1])):
                times = [(_ms(few, f"/status/{only}"), _ms(many, f"/status/{job_id}")) for _ in range(questions + 5)][
                    5:
                ]
                small, large = (statistics.median(column) for column in zip(*times, strict=True))
                found.append(
                    Figure(
                        bar=f"/status of the {name} of {jobs:,} waiting jobs within {MOST} x of an empty queue",
                        measured=f"{large / small:.2f} x: {large:.2f} ms, {small:.2f} ms (medians of {questions})",
                        met=large <= MOST * small,
                    )
                )
            times = [_ms(many, "/metrics") for _ in range(questions // 3 + 5)][5:]
            found.append(
                Figure(
                    bar=f"/metrics with {jobs:,} waiting jobs within {MOST_METRICS_MS:.0f} ms",
                    measured=f"{statistics.median(times):.2f} ms (median of {len(times)})",
                    met=statistics.median(times) <= MOST_METRICS_MS,
                )
            )
            return found


def _ms(client: httpx.Client, path: str) -> float:
    start = time.perf_counter()
    client.get(path).raise_for_status()
    return 1000 * (time.perf_counter() - start)


def _ready(site: Site, jobs: int) -> list[str]:
    """Fill the queue without a worker, and start the REST server; returns the ids in their order."""
    site.start_queue()
    inside = Inside(site)
    numbers = Statistics(inside.client, site.folder)
    started = now()
    steps = [StepRecord(name=name, title=name, state=StepState.DONE, seconds=2.5) for name in STEPS]
    for _ in range(RUNS):  # finished before, for the estimates
        done = _record(str(uuid4()))
        numbers.record_end(replace(done, started_at=started, completed_at=now(), steps=steps))
    ids = [str(uuid4()) for _ in range(jobs)]
    inside.queue.enqueue(_record(ids[0]))
    pipe = inside.client.pipeline(transaction=False)
    for number, job_id in enumerate(ids[1:]):
        record = _record(job_id)
        pipe.hset("jobs", job_id, record.to_json())
        pipe.zadd("jobs:created", {job_id: number})
        pipe.sadd("jobs:open", job_id)
        pipe.hset(f"rq:job:{job_id}", "status", "queued")
        pipe.rpush(QUEUE_KEY, job_id)
    pipe.execute()
    site.start_api()
    return ids


def _record(job_id: str) -> JobRecord:
    options: dict[str, object] = {"segmentation_model": "nnunet_fullres", "side": "auto"}
    created = now()
    return JobRecord(
        id=job_id, input_filename="knee.nii.gz", options=options, created_at=created, voxels=23_592_960, expires_at=None
    )

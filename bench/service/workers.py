"""Two workers on one store beside one. Each worker has one core of its own in both cases: what is measured is whether
they get in each other's way, not how many cores an analysis can use.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.service.figures import Figure
from bench.service.inside import Inside, empty_scan, small_knee
from bench.service.site import ROOT, site, wait_for

LEAST_GAIN = 1.8
LEAST_GAIN_SHORT = 1.4
"""The short form runs beside other tests, on jobs of two seconds."""


def figures(*, short: bool) -> list[Figure]:
    """6 analyses with one worker, 12 with two; the short form: 3 and 6 of scans that the first step refuses."""
    jobs = 3 if short else 6
    scan = empty_scan() if short else small_knee()
    bar = LEAST_GAIN_SHORT if short else LEAST_GAIN
    if len(os.sched_getaffinity(0)) < 2:
        return [Figure(bar="two workers", measured="not measured: this machine has one core", met=True)]
    one, one_twice = _jobs_a_minute(scan, jobs=jobs, workers=1)
    two, two_twice = _jobs_a_minute(scan, jobs=2 * jobs, workers=2)
    each = "each worker on one core of its own"
    return [
        Figure(
            bar=f"two workers >= {bar} x one",
            measured=f"{two / one:.2f} x: {two:.1f} jobs a minute, one {one:.1f} ({each})",
            met=two >= bar * one,
        ),
        Figure(
            bar="none run twice", measured=f"{one_twice + two_twice} of {3 * jobs} jobs", met=one_twice + two_twice == 0
        ),
    ]


def _jobs_a_minute(scan: bytes, *, jobs: int, workers: int) -> tuple[float, int]:
    """(jobs a minute from the first start to the last end, jobs that were not begun exactly once)"""
    with site() as here:
        here.start_queue()
        inside = Inside(here)
        path = here.folder / "scan.nii.gz"
        path.write_bytes(scan)
        command = [sys.executable, "-m", "bench.service.submitting", str(path), str(jobs)]
        subprocess.run(command, cwd=ROOT, env=here.environment, check=True)
        cores = sorted(os.sched_getaffinity(0))
        for number in range(workers):
            os.sched_setaffinity(here.start_worker().pid, {cores[number]})
        wait_for(lambda: all(record.status.final for record in inside.records().values()), 600, "the end of all jobs")
        records = inside.records().values()
        begun = min(record.started_at for record in records if record.started_at)
        ended = max(record.completed_at for record in records if record.completed_at)
        twice = sum(inside.attempts(record.id) != 1 or record.attempt != 1 for record in records)
    return 60 * jobs / (ended - begun).total_seconds(), twice

"""Two workers on one store compared with one.

Each worker is pinned to one core in both cases: this measures interference between workers, not the parallelism of an
analysis.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.service.figures import Figure
from bench.service.inside import Inside, empty_scan, small_knee
from bench.service.site import ROOT, running_site, wait_for

LEAST_GAIN = 1.8


def figures(*, short: bool) -> list[Figure]:
    """Run 6 analyses with one worker and 12 with two; `short`: 6 with two, on scans that the first step rejects."""
    if short:
        _, twice = _jobs_per_minute(empty_scan(), jobs=6, workers=2)
        return [Figure(bar="none run twice", measured=f"{twice} of 6 jobs", met=twice == 0)]
    jobs, scan = 6, small_knee()
    if len(os.sched_getaffinity(0)) < 2:
        return [Figure(bar="two workers", measured="not measured: this machine has one core", met=True)]
    one, one_twice = _jobs_per_minute(scan, jobs=jobs, workers=1)
    two, two_twice = _jobs_per_minute(scan, jobs=2 * jobs, workers=2)
    each = "each worker on a separate core"
    return [
        Figure(
            bar=f"two workers >= {LEAST_GAIN} x one",
            measured=f"{two / one:.2f} x: {two:.1f} jobs per minute, one {one:.1f} ({each})",
            met=two >= LEAST_GAIN * one,
        ),
        Figure(
            bar="none run twice", measured=f"{one_twice + two_twice} of {3 * jobs} jobs", met=one_twice + two_twice == 0
        ),
    ]


def _jobs_per_minute(scan: bytes, *, jobs: int, workers: int) -> tuple[float, int]:
    """(jobs per minute from the first start to the last end, number of jobs not started exactly once)"""
    with running_site() as site:
        site.start_queue()
        inside = Inside(site)
        path = site.folder / "scan.nii.gz"
        path.write_bytes(scan)
        command = [sys.executable, "-m", "bench.service.submitting", str(path), str(jobs)]
        subprocess.run(command, cwd=ROOT, env=site.environment, check=True)
        cores = sorted(os.sched_getaffinity(0))
        for number in range(workers):
            os.sched_setaffinity(site.start_worker().pid, {cores[number]})
        wait_for(lambda: all(record.status.final for record in inside.records().values()), 600, "the end of all jobs")
        records = inside.records().values()
        begun = min(record.started_at for record in records if record.started_at)
        ended = max(record.completed_at for record in records if record.completed_at)
        twice = sum(inside.attempts(record.id) != 1 or record.attempt != 1 for record in records)
    return 60 * jobs / (ended - begun).total_seconds(), twice

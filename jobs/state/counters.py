"""Counters of ended jobs for /metrics: fields of one hash in Redis, so that all processes of the service share them.

A field is `kind:label`. Histograms count each job in its smallest bucket; the reader adds them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobs.state.model import JobRecord, Status

COMPLETE: Final = "COMPLETE"
"""Label of complete jobs, beside the error codes of the others."""

JOB_BUCKETS_S: Final = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_LONGER: Final = "longer"
_ENDED, _STEP_RUNS, _STEP_SECONDS = "ended", "step_runs", "step_seconds"
_JOB_BUCKET, _JOB_SECONDS = "job_bucket", "job_seconds"


@dataclass(frozen=True, kw_only=True)
class StepTotal:
    """Number of runs of a step, and their seconds together."""

    runs: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Totals since the statistics began.

    ended        COMPLETE or error code -> number of jobs
    steps        name of a step -> its runs
    job_buckets  upper bound in seconds (infinity last) -> number of complete jobs that took at most this time
    job_seconds  of all complete jobs
    """

    ended: dict[str, int]
    steps: dict[str, StepTotal]
    job_buckets: dict[float, int]
    job_seconds: float


def increments(record: JobRecord, steps: Mapping[str, float]) -> dict[str, float]:
    """Field -> increment for an ended job. steps: seconds of the steps that ran"""
    code = COMPLETE if record.status is Status.COMPLETE else record.error_code or "UNKNOWN"
    found: dict[str, float] = {f"{_ENDED}:{code}": 1}
    for name, seconds in steps.items():
        found[f"{_STEP_RUNS}:{name}"] = 1
        found[f"{_STEP_SECONDS}:{name}"] = round(seconds, 3)
    total = record.processing_seconds
    if record.status is Status.COMPLETE and total is not None:
        bound = next((f"{bound:g}" for bound in JOB_BUCKETS_S if total <= bound), _LONGER)
        found[f"{_JOB_BUCKET}:{bound}"] = 1
        found[f"{_JOB_SECONDS}:"] = round(total, 3)
    return found


def read_counters(fields: Mapping[str, str]) -> Counters:
    """The counters in the hash."""
    kinds: dict[str, dict[str, float]] = {}
    for field, value in fields.items():
        kind, _, label = field.partition(":")
        kinds.setdefault(kind, {})[label] = float(value)
    seconds = kinds.get(_STEP_SECONDS, {})
    buckets, number = {}, 0
    for bound in (*JOB_BUCKETS_S, float("inf")):
        label = _LONGER if bound == float("inf") else f"{bound:g}"
        number += round(kinds.get(_JOB_BUCKET, {}).get(label, 0))
        buckets[bound] = number
    return Counters(
        ended={code: round(count) for code, count in kinds.get(_ENDED, {}).items()},
        steps={
            name: StepTotal(runs=round(runs), seconds=seconds.get(name, 0.0))
            for name, runs in kinds.get(_STEP_RUNS, {}).items()
        },
        job_buckets=buckets,
        job_seconds=kinds.get(_JOB_SECONDS, {}).get("", 0.0),
    )

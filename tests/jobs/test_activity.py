"""Figures of the Statistics page, from a real store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs import service
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from pipeline.progress import StepRecord, StepState

pytestmark = pytest.mark.slow


def complete(job_id: str, model: str, **seconds: float) -> JobRecord:
    ended = now()
    return JobRecord(
        id=job_id,
        input_filename="scan.nii.gz",
        options={"segmentation_model": model},
        status=Status.COMPLETE,
        started_at=ended - timedelta(seconds=sum(seconds.values())),
        completed_at=ended,
        steps=[
            StepRecord(name=name, title=name, state=StepState.DONE, seconds=value) for name, value in seconds.items()
        ],
        attempt=1,
    )


def test_an_empty_store_has_thirty_days_with_zero_jobs(redis_client: Any) -> None:
    found = service.activity()
    assert [day.jobs for day in found.days] == [0] * 30
    assert found.days[-1].day == now().date()
    assert (found.models, found.waiting, found.running) == ((), 0, 0)


def test_jobs_are_counted_by_day_and_times_by_model_and_step(redis_client: Any) -> None:
    statistics = open_backend().statistics
    for number, seconds in enumerate((8.0, 12.0, 40.0)):
        statistics.record_end(complete(f"a{number}", "nnunet_fullres", read_scan=1.0, segment=seconds))
    statistics.record_end(complete("b", "nnunet_cascade", segment=20.0, t2=3.0))
    redis_client.set(f"stats:processed:{now() - timedelta(days=29):%Y-%m-%d}", 7)
    redis_client.set(f"stats:processed:{now() - timedelta(days=30):%Y-%m-%d}", 9)
    found = service.activity()
    assert (found.days[0].jobs, found.days[-1].jobs) == (7, 4)
    assert sum(day.jobs for day in found.days) == 11
    models = {model.id: model for model in found.models}
    assert models["nnunet_fullres"].runs == 3
    assert models["nnunet_fullres"].seconds == 13.0
    assert {step.name: step.seconds for step in models["nnunet_fullres"].steps} == {
        "read_scan": 1.0,
        "segment": 12.0,
    }
    assert {step.name: step.seconds for step in models["nnunet_cascade"].steps} == {"segment": 20.0, "t2": 3.0}

"""How long an analysis will take: from those of its model, its size and its steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs import service
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.estimate import Run, expected_seconds, remaining_seconds
from jobs.state.model import JobRecord, Status
from pipeline.progress import StepRecord, StepState
from tests.support.processes import DATA_DIR

FULL = 160 * 384 * 384


def runs(voxels: int, *seconds: float) -> list[Run]:
    return [Run(voxels=voxels, seconds={"segment": value, "surfaces": value / 10}) for value in seconds]


def test_scans_of_the_same_size_are_expected_to_take_their_median() -> None:
    history = runs(FULL, 8, 10, 90) + runs(FULL // 20, 1, 1, 1, 1, 1)
    assert expected_seconds(history, FULL) == {"segment": 10, "surfaces": 1}
    assert expected_seconds(history, int(FULL * 1.3)) == {"segment": 10, "surfaces": 1}


def test_an_unknown_size_is_scaled_within_bounds() -> None:
    history = runs(FULL, 10, 10, 10)
    assert expected_seconds(history, FULL * 3)["segment"] == pytest.approx(30)
    assert expected_seconds(history, FULL * 1000)["segment"] == pytest.approx(40)
    assert expected_seconds(history, 1)["segment"] == pytest.approx(2.5)


def test_without_history_there_is_no_estimate() -> None:
    assert expected_seconds([], FULL) == {}


def test_remaining_time_is_that_of_the_running_and_following_steps() -> None:
    expected = {"read_scan": 2.0, "segment": 10.0, "surfaces": 3.0}
    states = {"read_scan": "done", "segment": "running", "surfaces": "waiting"}
    assert remaining_seconds(expected, states, elapsed=6.0, done=2.0) == pytest.approx(6.0 + 3.0)
    assert remaining_seconds(expected, states, elapsed=60.0, done=2.0) == pytest.approx(1.0 + 3.0)
    assert remaining_seconds(expected, {"surfaces": "skipped"}, elapsed=0.0, done=0.0) == pytest.approx(12.0)


def complete(job_id: str, seconds: float, **changes: Any) -> JobRecord:
    end = now()
    steps = [StepRecord(name="segment", title="Segment", state=StepState.DONE, seconds=seconds)]
    record = JobRecord(
        id=job_id,
        status=Status.COMPLETE,
        options={"segmentation_model": "nnunet_fullres"},
        started_at=end - timedelta(seconds=seconds),
        completed_at=end,
        voxels=FULL,
        steps=steps,
        attempt=1,
    )
    return replace(record, **changes)


def test_an_analysis_counts_once_if_its_end_is_reported_repeatedly(redis_client: Any) -> None:
    statistics = open_backend().statistics
    assert statistics.record_end(complete("a", 30))
    assert not statistics.record_end(complete("a", 30))
    assert statistics.record_end(complete("b", 50))
    stats = service.stats()
    assert (stats.total_jobs_processed, stats.total_jobs_today) == (2, 2)
    assert stats.average_processing_time_seconds == 40
    assert redis_client.lrange("processing_times", 0, -1) == ["50.0", "30.0"]


def queued(job_id: str, **changes: Any) -> None:
    backend = open_backend()
    record = replace(complete(job_id, 1), status=Status.QUEUED, started_at=None, completed_at=None, steps=[], attempt=0)
    record = replace(record, created_at=now(), **changes)
    (DATA_DIR / "jobs" / job_id).mkdir(parents=True, exist_ok=True)
    backend.storage.write_record(record)
    assert backend.queue.enqueue(record)


@pytest.mark.slow
def test_the_waiting_time_includes_running_and_preceding_jobs(redis_client: Any) -> None:
    backend = open_backend()
    for number in range(3):
        backend.statistics.record_end(complete(f"past{number}", 20))
    for name in ("first", "second", "third"):
        queued(name)
    # the first is running, for 5 of its 20 seconds
    redis_client.lrem("rq:queue:analyses", 0, "first")
    redis_client.zadd("rq:wip:analyses", {"first:execution": now().timestamp() + 60})
    redis_client.hset("rq:job:first", "status", "started")
    steps = [StepRecord(name="segment", title="Segment", state=StepState.RUNNING)]
    backend.store.merge(
        "first", 1, {"status": Status.PROCESSING, "started_at": now() - timedelta(seconds=5), "steps": steps}
    )
    redis_client.hset("rq:job:first", "status", "started")
    listed = {job.id: job for job in service.recent()}
    assert listed["first"].estimated_remaining_seconds == pytest.approx(15, abs=1)
    assert listed["second"].estimated_wait_seconds == pytest.approx(15, abs=1)
    assert listed["third"].estimated_wait_seconds == pytest.approx(35, abs=1)
    for name in listed:
        service.delete(name)

"""/metrics: figures of the whole service, and the dashboard and alerts that use them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from jobs import service
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.disk_use import note_disk_use
from jobs.state.model import JobRecord, Status
from jobs.state.orders import OPERATOR
from jobs.state.refusals import Refusals
from jobs.state.workers import WorkerState, write_state
from pipeline.progress import StepRecord, StepState
from rest.metrics import metrics_text

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """(name, labels) -> value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read() -> Samples:
    return samples(metrics_text(service.metrics()).decode())


def put(backend: Backend, job_id: str, **fields: Any) -> JobRecord:
    record = JobRecord(id=job_id, created_at=now(), **fields)
    backend.storage.write_record(record)
    backend.queue.enqueue(record)
    return record


@pytest.fixture
def busy_service(redis_client: Any) -> Iterator[Backend]:
    """A queue, ended jobs, workers and refusals: every figure has a value."""
    backend = open_backend()
    for key in redis_client.scan_iter("rq:worker*"):
        redis_client.delete(key)
    put(backend, "first")
    put(backend, "second")
    redis_client.hset("rq:job:first", "enqueued_at", "2026-01-01T00:00:00.000000Z")
    steps = [StepRecord(name="segment", title="", state=StepState.DONE, seconds=20.5)]
    done = put(backend, "done", status=Status.COMPLETE, started_at=now(), completed_at=now(), steps=steps, attempt=1)
    backend.queue.remove("done")
    for _ in range(2):
        backend.statistics.record_end(done)
    service.cancel(put(backend, "unwanted").id)
    states = (
        WorkerState(name="a", machine="m", job_id="first"),
        WorkerState(name="b", machine="m", paused="by the operator", cause=OPERATOR, skew_s=-40.0),
        WorkerState(name="c", machine="m"),
    )
    for state in states:
        redis_client.sadd("rq:workers:analyses", f"rq:worker:{state.name}")
        write_state(redis_client, state, 60)
    refusals = Refusals()
    refusals.note("FILE_TOO_LARGE")
    refusals.note("FILE_TOO_LARGE")
    refusals.flush()
    note_disk_use(backend.client, backend.storage)
    yield backend
    for pattern in ("rq:worker*", "jobs:worker:*"):
        redis_client.delete(*redis_client.scan_iter(pattern))


def test_figures_are_those_of_the_whole_service(busy_service: Backend) -> None:
    found = read()
    assert found["kneebox_queue_jobs", ()] == 2
    assert found["kneebox_queue_oldest_wait_seconds", ()] > 86_400
    waiting = {name: found["kneebox_priority_waiting", (("priority", name),)] for name in ("interactive", "bulk")}
    assert waiting == {"interactive": 2, "bulk": 0}
    assert found["kneebox_priority_oldest_wait_seconds", (("priority", "interactive"),)] > 86_400
    assert found["kneebox_priority_oldest_wait_seconds", (("priority", "study"),)] == 0
    assert found["kneebox_job_records", ()] == 4
    assert found["kneebox_jobs_ended_total", (("code", "COMPLETE"),)] == 1, "counted once"
    assert found["kneebox_jobs_ended_total", (("code", "CANCELLED"),)] == 1
    assert found["kneebox_step_seconds_sum", (("step", "segment"),)] == 20.5
    assert found["kneebox_step_seconds_count", (("step", "segment"),)] == 1
    assert found["kneebox_job_seconds_bucket", (("le", "10"),)] == 1
    assert found["kneebox_job_seconds_count", ()] == 1
    assert found["kneebox_workers", (("state", "busy"),)] == 1
    assert found["kneebox_workers", (("state", "paused"),)] == 1
    assert found["kneebox_workers_paused", (("cause", OPERATOR),)] == 1
    assert found["kneebox_clock_skew_seconds", ()] == 40
    assert found["kneebox_refusals_total", (("code", "FILE_TOO_LARGE"),)] >= 2
    assert found["kneebox_disk_free_bytes", ()] > 0
    assert found["kneebox_jobs_disk_bytes", ()] > 0
    assert found["kneebox_redis_up", ()] == 1


def test_dashboard_and_alerts_use_only_figures_that_exist(busy_service: Backend) -> None:
    known = {name for name, _ in read()}
    dashboard = json.loads((DEPLOY / "grafana" / "kneebox.json").read_text("utf-8"))
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    used = {name for query in queries for name in re.findall(r"kneebox_\w+", query)}
    assert len(used) > 15
    assert not used - known


def test_every_figure_is_explained(busy_service: Backend) -> None:
    text = (DEPLOY.parent / "docs" / "how-to" / "monitor.md").read_text("utf-8")
    families = text_string_to_metric_families(metrics_text(service.metrics()).decode())
    assert [family.name for family in families if not re.search(rf"`{family.name}(_total)?[`{{]", text)] == []


@pytest.mark.slow
def test_the_cost_does_not_depend_on_the_length_of_the_queue(busy_service: Backend) -> None:
    """It reads a part of the queue that does not grow with it."""
    ids = [f"job{number}" for number in range(10_000)]
    busy_service.client.rpush("rq:queue:analyses", *ids)
    before = busy_service.client.info("commandstats")
    found = read()
    after = busy_service.client.info("commandstats")
    assert found["kneebox_queue_jobs", ()] == 10_002
    calls = sum(after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after)
    spent_us = sum(after[name]["usec"] - before.get(name, {"usec": 0})["usec"] for name in after)
    assert calls < 100
    assert spent_us < 10_000

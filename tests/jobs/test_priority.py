"""Interactive jobs are put before bulk jobs, which still make progress."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from jobs import service
from jobs.errors import InvalidForm
from jobs.intake.form import parse_form
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, Priority
from jobs.state.queue import BULK, MOST_BEFORE_BULK, PRECEDED


@pytest.fixture
def backend(redis_client: Any) -> Backend:
    return open_backend()


def put(backend: Backend, *names: str) -> None:
    """Queue jobs; those whose name begins with b are bulk jobs."""
    for name in names:
        priority = Priority.BULK if name.startswith("b") else Priority.INTERACTIVE
        backend.queue.enqueue(JobRecord(id=name, created_at=now(), priority=priority))


def take(backend: Backend) -> str:
    """What a worker does to the list."""
    taken: Any = backend.client.lpop("rq:queue:analyses")
    return str(taken)


def test_interactive_jobs_precede_bulk_jobs_and_each_kind_keeps_its_order(backend: Backend) -> None:
    put(backend, "b1", "b2", "i1", "i2", "b3", "i3")
    assert backend.queue.waiting() == ["i1", "i2", "i3", "b1", "b2", "b3"]
    assert [service.get(name).queue_position for name in ("i3", "b1")] == [3, 4]
    assert service.get("b3").estimated_wait_seconds > service.get("i3").estimated_wait_seconds


def test_a_bulk_job_is_not_preceded_without_limit(backend: Backend) -> None:
    put(backend, "b1", "b2", "b3")
    taken = []
    for number in range(14):  # as many interactive jobs arrive as are worked on
        put(backend, f"i{number}")
        taken.append(take(backend))
    kinds = "".join(name[0] for name in taken)
    assert kinds == "iiiibiiiibiiii"
    assert MOST_BEFORE_BULK == 4
    assert take(backend) == "b3"
    assert [take(backend) for _ in range(2)] == ["i12", "i13"], "the others keep their order"


def test_a_bulk_job_that_has_left_the_queue_is_forgotten(backend: Backend) -> None:
    put(backend, "b1", "b2", "b3", "i1")
    service.cancel("b2")
    assert [take(backend), take(backend)] == ["i1", "b1"]
    put(backend, "i2", "b4")
    assert backend.queue.waiting() == ["i2", "b3", "b4"]
    assert backend.client.zrange(BULK, 0, -1) == ["b3", "b4"]
    assert backend.client.hgetall(PRECEDED) == {"b3": "1"}


def test_an_interrupted_bulk_job_is_the_next_and_is_not_preceded(backend: Backend) -> None:
    put(backend, "i1", "b1")
    record, text = backend.store.load_text("b1")
    assert record is not None
    backend.queue.enqueue(replace(record, lost_attempts=1), replaces=text, at_front=True)
    put(backend, "i2")
    assert backend.queue.waiting() == ["b1", "i1", "i2"]


def test_the_priority_is_a_field_of_the_form_and_of_the_record() -> None:
    assert parse_form({}).priority is Priority.INTERACTIVE
    assert parse_form({"priority": "bulk"}).priority is Priority.BULK
    with pytest.raises(InvalidForm):
        parse_form({"priority": "urgent"})
    record = JobRecord(id="a", priority=Priority.BULK)
    assert JobRecord.from_json(record.to_json()).priority is Priority.BULK
    assert JobRecord.from_json('{"id": "a"}').priority is Priority.INTERACTIVE, "of an earlier version"


@pytest.mark.slow
def test_a_job_is_placed_quickly_in_a_long_queue(backend: Backend) -> None:
    put(backend, "b1")
    ids = [f"b{number}" for number in range(2, 10_001)]
    backend.client.rpush("rq:queue:analyses", *ids)
    backend.client.zadd(BULK, {name: number for number, name in enumerate(ids, 2)})
    started = time.perf_counter()
    put(backend, "i1")
    assert time.perf_counter() - started < 0.5
    assert backend.queue.first(2) == ["i1", "b1"]

"""Pause, resume and drain of workers by the operator."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import service
from jobs.command_line.commands import main
from jobs.control.workers import drain, pause, resume, workers
from jobs.errors import JobConflict, WorkerNotFound
from jobs.processes import DRAINED_STATUS, Child
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord
from jobs.state.orders import OPERATOR, Action, order_for
from jobs.state.workers import WorkerState, write_state
from jobs.worker.pausing import Pause
from tests.support.processes import wait_until


@pytest.fixture
def two_workers(redis_client: Any) -> Iterator[Backend]:
    """Two live workers, according to the queue."""
    for key in redis_client.scan_iter("rq:worker*"):
        redis_client.delete(key)
    for name in ("abc", "xyz"):
        redis_client.sadd("rq:workers:analyses", f"rq:worker:{name}")
        write_state(redis_client, WorkerState(name=name, machine="m"), 60)
    yield open_backend()
    redis_client.delete("rq:workers:analyses", "jobs:worker:abc", "jobs:worker:xyz", "jobs:orders")


def test_an_order_for_one_worker_is_followed_by_that_worker(two_workers: Backend) -> None:
    assert pause("ab", "new disk") == ["abc"]
    one, other = (Pause(two_workers, name) for name in ("abc", "xyz"))
    assert one.check() == "by the operator: new disk"
    assert one.cause == OPERATOR
    assert other.check() == ""
    one.read_order()
    assert one.cause == OPERATOR, "also while a job runs"
    assert resume("abc") == ["abc"]
    assert (one.check(), one.cause) == ("", "")
    with pytest.raises(WorkerNotFound):
        pause("nobody")


def test_a_pause_of_all_includes_workers_that_start_later_and_a_drain_does_not(two_workers: Backend) -> None:
    pause(None)
    assert Pause(two_workers, "new").check() == "by the operator"
    with pytest.raises(JobConflict, match="All workers"):
        resume("abc")
    assert drain(None) == ["abc", "xyz"]
    found = order_for(two_workers.client, "abc")
    assert found is not None
    assert found.action is Action.DRAIN, "it precedes a pause: a paused worker stops"
    resume(None)
    drain(None)
    assert order_for(two_workers.client, "new") is None
    two_workers.client.srem("rq:workers:analyses", "rq:worker:abc")
    assert [worker.name for worker in workers()] == ["xyz"]
    assert order_for(two_workers.client, "abc") is None, "orders of ended workers are removed"


def test_health_names_the_operator_and_the_reason(
    two_workers: Backend, redis_client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    state = WorkerState(name="abc", machine="m", paused="by the operator: new disk", cause=OPERATOR)
    write_state(redis_client, state, 60)
    assert "A worker is paused by the operator: new disk." in service.health().problems
    assert service.health().paused == "", "the other one works"
    redis_client.srem("rq:workers:analyses", "rq:worker:xyz")
    assert service.health().paused == "paused by the operator: new disk"
    assert main(["workers"]) == 0
    assert "abc" in (printed := capsys.readouterr().out)
    assert "new disk" in printed


def test_a_job_taken_by_a_paused_worker_is_the_next_again(redis_client: Any) -> None:
    backend = open_backend()
    for job_id in ("first", "second"):
        backend.queue.enqueue(JobRecord(id=job_id, created_at=now()))
    redis_client.lmove("rq:queue:analyses", "rq:queue:analyses:intermediate", "LEFT", "RIGHT")
    backend.queue.put_back("first")
    assert (backend.queue.waiting(), backend.queue.taken()) == (["first", "second"], [])


@pytest.mark.slow
def test_a_paused_worker_starts_no_job_and_a_drained_one_ends(worker: subprocess.Popen[bytes]) -> None:
    backend = open_backend()
    pause(None, "backup")
    backend.queue.enqueue(JobRecord(id="waits", created_at=now()))
    wait_until(lambda: service.health().paused == "paused by the operator: backup", what="the pause")
    assert backend.queue.waiting() == ["waits"]
    backend.queue.remove("waits")
    backend.store.delete("waits")
    assert drain(None)
    assert worker.wait(timeout=20) == DRAINED_STATUS
    resume(None)


def test_a_drained_process_is_not_restarted_and_others_are(tmp_path: Path) -> None:
    def ended(status: int) -> Child:
        child = Child("worker", ["sh", "-c", f"exit {status}"], tmp_path / "x.log", lambda: True, tmp_path)
        child.start()
        assert child.wait(5)
        return child

    drained, failed = ended(DRAINED_STATUS), ended(1)
    assert "drained" in str(drained.keep_running())
    assert "restarting" in str(failed.keep_running())
    assert (drained.finished, failed.finished) == (True, False)
    assert drained.keep_running() is None
    assert not drained.running

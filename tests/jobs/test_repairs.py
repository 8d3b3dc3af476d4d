"""What the reconciler decides about one job: left alone, queued again, ended, or restored from its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import QueueUnavailable
from jobs.state import reconciler
from jobs.state.backend import Backend
from jobs.state.clock import now
from jobs.state.faults import FaultKind
from jobs.state.model import JobRecord, RecordChanges, Status
from jobs.state.queue import AnalysisQueue, text_client
from jobs.state.reconciler import FULL_INTERVAL_S, Reconciler, repair_job
from jobs.state.store import JobStore
from jobs.state.work_lock import boot_id
from tests.support.reconciling import impatient_backend, put, run_passes, stand, take

UNREACHABLE = "redis://127.0.0.1:1/0"


@pytest.fixture
def backend(redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> Backend:
    return impatient_backend(monkeypatch)


@pytest.fixture
def offline(backend: Backend) -> Backend:
    """The same folders with a queue that does not answer."""
    client = text_client(UNREACHABLE)
    return replace(backend, client=client, store=JobStore(client), queue=AnalysisQueue(UNREACHABLE))


def put_lock(backend: Backend, machine: str) -> None:
    """A lock file that a process of this machine or another one has left."""
    left = {"attempt": 1, "machine": machine, "processes": "another", "pid": 1}
    (backend.storage.folder("job") / "work.lock").write_text(json.dumps(left))


def put_foreign(redis_client: Any, status: str = "queued") -> None:
    """The record of a job of another program, listed as open by mistake."""
    redis_client.hset("jobs", "job", json.dumps({"id": "job", "status": status}))
    redis_client.sadd("jobs:open", "job")


def lose_record(redis_client: Any) -> None:
    redis_client.hdel("jobs", "job")
    redis_client.srem("jobs:open", "job")


def interrupt(backend: Backend, redis_client: Any, **fields: Any) -> JobRecord:
    """Work that ended on this machine without an end of its job."""
    record = put(backend, status=Status.PROCESSING, attempt=1, **fields)
    take(redis_client)
    put_lock(backend, boot_id())
    return record


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock of the reconciler's module."""
    monkeypatch.setattr(reconciler, "time", SimpleNamespace(monotonic=lambda: seconds))


# One job.


def test_a_repair_names_the_job_and_what_was_wrong(backend: Backend, redis_client: Any) -> None:
    interrupt(backend, redis_client)
    repair = repair_job(backend, "job")
    assert repair is not None
    assert (repair.job_id, repair.what) == ("job", "its work was interrupted: queued again")
    redis_client.delete("rq:queue:analyses")
    repair = repair_job(backend, "job")
    assert repair is not None
    assert (repair.job_id, repair.what) == ("job", "it was not queued: queued again")
    interrupt(backend, redis_client, lost_attempts=1)
    repair = repair_job(backend, "job")
    assert repair is not None
    assert repair.what == "its work had ended: WORKER_LOST"
    assert stand(backend) == ("error", [])


def test_nothing_is_done_about_unknown_ended_and_foreign_jobs(backend: Backend, redis_client: Any) -> None:
    assert repair_job(backend, "job") is None
    put_foreign(redis_client)
    assert repair_job(backend, "job") is None
    put_foreign(redis_client, "processing")
    assert repair_job(backend, "job") is None
    assert stand(backend) == ("processing", [])
    redis_client.hdel("jobs", "job")
    put(backend, status=Status.ERROR)
    backend.queue.remove("job")
    assert repair_job(backend, "job") is None
    assert stand(backend) == ("error", [])


def test_a_job_whose_last_run_is_still_stopping_is_not_queued(backend: Backend) -> None:
    put(backend)
    backend.queue.remove("job")
    with backend.storage.work_lock("job").hold():
        assert repair_job(backend, "job") is None
    assert stand(backend) == ("queued", [])


def test_a_job_on_another_machine_is_in_progress_while_it_may_have_lost_a_heartbeat(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(backend, status=Status.PROCESSING, attempt=1)
    put_lock(backend, "another")
    monkeypatch.setattr(reconciler, "HEARTBEAT_MISSED", timedelta(days=100))  # the server is younger
    assert repair_job(backend, "job") is None
    monkeypatch.setattr(reconciler, "HEARTBEAT_MISSED", timedelta(0))
    redis_client.set("jobs:alive:job", "another", ex=15)
    assert repair_job(backend, "job") is None
    redis_client.delete("jobs:alive:job")
    assert repair_job(backend, "job") is not None


class Interleaved(JobStore):
    """A store in which another process changes the record after each reading."""

    def load_text(self, job_id: str) -> tuple[JobRecord | None, str]:
        found = super().load_text(job_id)
        self.change(job_id, lambda record: RecordChanges(progress_percent=record.progress_percent + 1))
        return found


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.QUEUED])
@pytest.mark.parametrize("lost_attempts", [0, 1])
def test_a_record_that_has_changed_since_it_was_read_is_not_repaired(
    backend: Backend, redis_client: Any, status: Status, lost_attempts: int
) -> None:
    interrupt(backend, redis_client, lost_attempts=lost_attempts)
    backend.store.change("job", lambda _: {"status": status})
    contested = replace(backend, store=Interleaved(redis_client))
    assert repair_job(contested, "job") is None
    assert stand(backend) == (str(status), [])


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({}, False),
        ({"lost_attempts": 1}, True),
        ({"fault": FaultKind.DISK_FULL}, True),
        ({"fault": FaultKind.OUT_OF_MEMORY}, False),
    ],
    ids=str,
)
def test_interrupted_jobs_precede_all_others_unless_they_need_much_memory(
    backend: Backend, fields: dict[str, Any], first: bool
) -> None:
    put(backend, **fields)
    backend.queue.remove("job")
    backend.queue.enqueue(JobRecord(id="other", created_at=now()))
    assert repair_job(backend, "job") is not None
    assert backend.queue.waiting() == (["job", "other"] if first else ["other", "job"])


# All jobs.


def test_running_and_waiting_jobs_need_no_confirmation(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.PROCESSING)
    take(redis_client)
    instance = Reconciler(backend)
    with backend.storage.work_lock("job").hold():
        assert instance.reconcile() == []
        assert instance.has_unconfirmed is False
        assert Reconciler(backend).reconcile() == []
    backend.store.change("job", lambda _: {"status": Status.QUEUED})
    redis_client.rpush("rq:queue:analyses", "job")
    assert instance.reconcile() == []
    assert instance.has_unconfirmed is False


def test_foreign_and_missing_jobs_in_the_index_are_not_queued(backend: Backend, redis_client: Any) -> None:
    put_foreign(redis_client)
    redis_client.sadd("jobs:open", "missing")
    backend.storage.write_record(JobRecord(id="job"))
    instance = Reconciler(backend)
    assert instance.reconcile() + instance.reconcile() == []
    assert instance.has_unconfirmed is False
    assert backend.queue.waiting() == []
    assert backend.store.open_ids() == ["job"]


def test_a_state_is_repaired_when_it_has_lasted(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "CONFIRM_AFTER_S", 4.0)
    put(backend)
    take(redis_client)
    instance = Reconciler(backend)
    for seconds, repairs in ((1000.0, 0), (1003.9, 0), (1004.0, 1)):
        set_clock(monkeypatch, seconds)
        assert len(instance.reconcile()) == repairs, seconds


def test_a_state_that_was_interrupted_is_confirmed_again(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(backend)
    instance = Reconciler(backend)
    take(redis_client)
    assert instance.reconcile() == []
    assert instance.has_unconfirmed
    redis_client.lmove("rq:queue:analyses:intermediate", "rq:queue:analyses", "LEFT", "RIGHT")
    assert instance.reconcile() == []
    assert instance.has_unconfirmed is False
    take(redis_client)
    assert instance.reconcile() == [], "the first pass does not count"


def test_one_of_two_entries_is_kept(backend: Backend, redis_client: Any) -> None:
    put(backend)
    redis_client.rpush("rq:queue:analyses", "job")
    run_passes(backend, 1)
    assert stand(backend) == ("queued", ["job"])


def test_an_entry_of_interrupted_work_that_rq_would_drop_is_no_waiting_job(backend: Backend, redis_client: Any) -> None:
    interrupt(backend, redis_client)
    redis_client.delete("rq:job:job", "rq:queue:analyses:intermediate")
    redis_client.rpush("rq:queue:analyses", "job")
    assert run_passes(backend, 1) == ["its work was interrupted: queued again"]
    assert stand(backend) == ("queued", ["job"])


def test_an_entry_of_an_open_job_missing_in_the_index_is_kept(backend: Backend, redis_client: Any) -> None:
    instance = Reconciler(backend)
    instance.reconcile()
    put(backend)
    redis_client.srem("jobs:open", "job")
    assert instance.reconcile() == []
    assert backend.store.open_ids() == ["job"]
    assert stand(backend) == ("queued", ["job"])


def test_an_entry_of_a_lost_record_is_restored_from_the_folder(backend: Backend, redis_client: Any) -> None:
    instance = Reconciler(backend)
    instance.reconcile()
    put(backend)
    lose_record(redis_client)
    assert [item.what for item in instance.reconcile()] == ["its record was missing: queued again"]
    assert stand(backend) == ("queued", ["job"])
    assert redis_client.hexists("rq:job:job", "data")


def test_an_entry_of_an_ended_job_is_removed(backend: Backend) -> None:
    put(backend, status=Status.ERROR)
    backend.storage.write_record(JobRecord(id="job", status=Status.ERROR))
    assert run_passes(backend, 1) == ["a queue entry without an open job: removed"]
    assert stand(backend) == ("error", [])


def test_work_that_ends_between_two_full_passes_is_repaired_too(backend: Backend, redis_client: Any) -> None:
    instance = Reconciler(backend)
    instance.reconcile()
    interrupt(backend, redis_client)
    assert [item.what for item in instance.reconcile()] == ["its work was interrupted: queued again"]


def test_folders_are_compared_at_intervals(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, 1000.0)
    instance = Reconciler(backend)
    instance.reconcile()
    put(backend)
    backend.queue.remove("job")
    lose_record(redis_client)
    set_clock(monkeypatch, 1000.0 + FULL_INTERVAL_S)
    assert instance.reconcile() == []
    set_clock(monkeypatch, 1000.1 + FULL_INTERVAL_S)
    assert [item.what for item in instance.reconcile()] == ["its record was missing: queued again"]


def test_ended_jobs_are_compared_again_after_a_restart_of_the_server(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "FULL_INTERVAL_S", -1.0)
    record = put(backend, status=Status.ERROR, attempt=1)
    backend.queue.remove("job")
    backend.storage.write_record(record)
    instance = Reconciler(backend)
    assert instance.reconcile() == []
    backend.storage.write_record(replace(record, status=Status.QUEUED, attempt=2))
    assert instance.reconcile() == [], "it was consistent"
    monkeypatch.setattr(instance, "_server", "the run before the restart")
    assert [item.what for item in instance.reconcile()] == ["its restart was lost: queued again"]


@pytest.mark.parametrize(("status", "counted"), [(Status.COMPLETE, "1"), (Status.ERROR, None)])
def test_an_interrupted_ending_is_counted_if_the_job_is_complete(
    backend: Backend, redis_client: Any, status: Status, counted: str | None
) -> None:
    put(backend, status=status, started_at=now() - timedelta(seconds=9), completed_at=now())
    backend.queue.remove("job")
    assert run_passes(backend, 2) == ["its end was missing in its folder"]
    assert redis_client.get("stats:total_processed") == counted
    written = backend.storage.read_record("job")
    assert written is not None
    assert written.status is status


def test_a_folder_without_the_record_of_its_job_is_not_changed(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.ERROR)
    backend.queue.remove("job")
    (backend.storage.folder("job") / "job.json").write_text("{}")
    backend.storage.write_record(JobRecord(id="job"), backend.storage.folder("other"))
    backend.storage.write_record(JobRecord(id="new", created_at=None))
    (backend.storage.folder("new") / "job.json").unlink()
    assert run_passes(backend, 2) == []
    assert redis_client.hkeys("jobs") == ["job"]
    assert (backend.storage.folder("job") / "job.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("status", "repair"),
    [(Status.ERROR, "its record was missing: error"), (Status.PROCESSING, "its record was missing: queued again")],
)
def test_a_lost_record_is_restored_after_the_time_of_a_submission(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch, status: Status, repair: str
) -> None:
    monkeypatch.setattr(reconciler, "SUBMISSION_GRACE_S", 10.0)
    submitted = JobRecord(id="job", status=status, started_at=now(), created_at=now() - timedelta(seconds=8))
    backend.storage.write_record(submitted)
    assert run_passes(backend, 1) == []
    backend.storage.write_record(replace(submitted, created_at=now() - timedelta(seconds=12)))
    assert run_passes(backend, 2) == [repair]
    record = backend.store.load("job")
    assert record is not None
    assert (record.started_at is None) == (status is Status.PROCESSING)


# The worker's calls.


def test_a_requested_stop_does_not_count_as_a_lost_attempt(backend: Backend) -> None:
    put(backend, status=Status.PROCESSING)
    Reconciler(backend).ignore_interruption("job")
    record = backend.store.load("job")
    assert record is not None
    assert record.lost_attempts == -1
    backend.store.change("job", lambda _: {"status": Status.ERROR})
    Reconciler(backend).ignore_interruption("job")
    assert backend.store.load("job") == replace(record, status=Status.ERROR)


def test_a_queue_that_does_not_answer_is_reported_to_callers_but_never_ends_a_worker(offline: Backend) -> None:
    with pytest.raises(QueueUnavailable):
        repair_job(offline, "job")
    with pytest.raises(QueueUnavailable):
        Reconciler(offline).reconcile()
    Reconciler(offline).reconcile_safely()
    Reconciler(offline).ignore_interruption("job")


def test_an_unexpected_error_never_ends_a_worker_and_frees_the_lock(backend: Backend, redis_client: Any) -> None:
    broken = replace(backend, storage=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Reconciler(broken).reconcile()
    Reconciler(broken).reconcile_safely()
    assert not redis_client.exists("jobs:reconciling")

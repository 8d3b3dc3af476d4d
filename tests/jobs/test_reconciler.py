"""Inconsistencies after a kill or a data loss of the server are repaired, and no job runs twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs import service
from jobs.state import reconciler
from jobs.state.backend import Backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, JobView, Status
from jobs.state.reconciler import Reconciler
from jobs.state.work_lock import Work, WorkLock
from pipeline.workspace import write_json
from tests.support.processes import ROOT, wait_until
from tests.support.reconciling import impatient_backend, put, run_passes, stand, take

HOLD = """
import sys, time
from pathlib import Path
from jobs.state.work_lock import WorkLock
lock = WorkLock(Path(sys.argv[1]))
with lock.hold() as held:
    lock.note_attempt(3)
    print(held, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def backend(redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> Backend:
    return impatient_backend(monkeypatch)


def write_manifest(backend: Backend) -> None:
    results = backend.storage.begin_attempt("job", 1).results_dir
    (results / "results.zip").write_bytes(b"zip")
    write_json(results / "manifest.json", {"archive_bytes": 3, "warnings": [], "steps": []})


@pytest.fixture
def holder(backend: Backend) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works on the job."""
    put(backend)
    path = backend.storage.folder("job") / "work.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"True\n"
    yield process
    process.kill()
    process.communicate()


def test_consistent_jobs_need_no_repair(backend: Backend) -> None:
    put(backend)
    assert run_passes(backend, 3) == []
    assert stand(backend) == ("queued", ["job"])


def test_an_entry_taken_but_never_started_is_queued_again(backend: Backend, redis_client: Any) -> None:
    put(backend)
    take(redis_client)
    instance = Reconciler(backend)
    assert instance.reconcile() == [], "it may still be starting"
    assert instance.has_unconfirmed
    instance.reconcile()
    assert stand(backend) == ("queued", ["job"])
    assert backend.queue.taken() == []


def test_a_record_without_an_entry_is_queued_again(backend: Backend, redis_client: Any) -> None:
    put(backend)
    redis_client.delete("rq:queue:analyses", "rq:job:job")
    run_passes(backend)
    assert stand(backend) == ("queued", ["job"])
    assert redis_client.hget("rq:job:job", "status") == "queued"


def test_an_entry_that_rq_would_drop_is_recreated(backend: Backend, redis_client: Any) -> None:
    put(backend)
    redis_client.delete("rq:job:job")
    run_passes(backend, 1)
    assert stand(backend) == ("queued", ["job"])
    assert redis_client.hexists("rq:job:job", "data")


def test_only_one_of_several_entries_is_kept(backend: Backend, redis_client: Any) -> None:
    put(backend)
    redis_client.rpush("rq:queue:analyses", "job", "job")
    run_passes(backend, 1)
    assert stand(backend) == ("queued", ["job"])


def test_an_entry_without_a_job_is_removed(backend: Backend, redis_client: Any) -> None:
    redis_client.rpush("rq:queue:analyses", "nobody")
    assert len(run_passes(backend, 1)) == 1
    assert backend.queue.waiting() == []


def test_interrupted_work_is_queued_again_once_and_then_fails(
    backend: Backend, holder: subprocess.Popen[bytes], redis_client: Any
) -> None:
    take(redis_client)
    backend.store.change("job", lambda _: {"status": Status.PROCESSING, "attempt": 3})
    assert run_passes(backend) == [], "it is being worked on"
    holder.kill()
    holder.wait()
    begun = time.monotonic()
    run_passes(backend, 1)
    assert time.monotonic() - begun < 2, "the lock proves it at once"
    assert stand(backend) == ("queued", ["job"])
    take(redis_client)
    backend.store.change("job", lambda _: {"status": Status.PROCESSING, "attempt": 4})
    run_passes(backend, 1)
    record = backend.store.load("job")
    assert record is not None
    assert (record.status, record.error_code, record.lost_attempts) == (Status.ERROR, "WORKER_LOST", 2)
    written = backend.storage.read_record("job")
    assert written is not None
    assert written.error_code == "WORKER_LOST"
    assert backend.queue.waiting() == []


def test_work_on_another_machine_is_active_until_its_heartbeat_expires(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.PROCESSING, attempt=1)
    take(redis_client)
    lock = {"attempt": 1, "machine": "another", "processes": "another", "pid": 1}
    (backend.storage.folder("job") / "work.lock").write_text(json.dumps(lock))
    redis_client.set("jobs:alive:job", "another", ex=15)
    assert run_passes(backend) == []
    redis_client.delete("jobs:alive:job")
    run_passes(backend, 1)
    assert stand(backend) == ("queued", ["job"])


def test_complete_results_end_a_job_without_a_second_run(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.PROCESSING, attempt=1, started_at=now())
    take(redis_client)
    write_manifest(backend)
    run_passes(backend, 3)
    assert stand(backend) == ("complete", [])
    assert redis_client.get("stats:total_processed") == "1", "counted once"


def test_a_cancel_lost_by_the_server_remains_in_effect(backend: Backend, redis_client: Any) -> None:
    put(backend)
    forgotten = redis_client.hget("jobs", "job")
    service.cancel("job")
    backend.queue.remove("job")
    redis_client.hdel("jobs", "job")
    backend.queue.enqueue(JobRecord.from_json(forgotten))
    subprocess.run(
        [sys.executable, "-c", "from jobs.worker.tasks import run_job; run_job('job')"], cwd=ROOT, check=True
    )
    assert service.get("job").error_code == "CANCELLED"
    redis_client.hdel("jobs", "job")
    backend.queue.enqueue(JobRecord.from_json(forgotten))
    run_passes(backend, 1)
    assert service.get("job").error_code == "CANCELLED"
    assert backend.queue.waiting() == []


def test_a_deletion_lost_by_the_server_remains_in_effect(backend: Backend, redis_client: Any) -> None:
    put(backend)
    forgotten = redis_client.hget("jobs", "job")
    service.delete("job")
    assert not redis_client.keys("rq:job:*")
    assert redis_client.hlen("jobs") == 0
    backend.queue.enqueue(JobRecord.from_json(forgotten))
    subprocess.run(
        [sys.executable, "-c", "from jobs.worker.tasks import run_job; run_job('job')"], cwd=ROOT, check=True
    )
    run_passes(backend, 1)
    assert service.get("job").error_code == "CANCELLED"
    assert not backend.storage.folder("job").exists(), "nothing is written back"


def test_jobs_lost_by_the_server_are_restored_from_their_folders(backend: Backend, redis_client: Any) -> None:
    put(backend)
    redis_client.flushall()
    run_passes(backend, 1)
    assert stand(backend) == ("queued", ["job"])
    service.cancel("job")
    redis_client.flushall()
    run_passes(backend, 1)
    assert service.get("job").error_code == "CANCELLED"
    assert backend.queue.waiting() == []


def test_a_submission_in_progress_is_not_changed(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "SUBMISSION_GRACE_S", 10.0)
    backend.storage.write_record(JobRecord(id="job", created_at=now()))
    assert run_passes(backend) == []


def test_a_restart_lost_by_the_server_is_repeated(backend: Backend) -> None:
    record = put(backend, status=Status.ERROR, error_code="CANCELLED", attempt=1)
    backend.queue.remove("job")
    backend.storage.write_record(replace(record, status=Status.QUEUED, error_code=None, attempt=2))
    run_passes(backend, 1)
    assert stand(backend) == ("queued", ["job"])


def test_an_interrupted_ending_is_completed(backend: Backend) -> None:
    put(backend, status=Status.ERROR, error_code="EMPTY_IMAGE", attempt=1)
    backend.queue.remove("job")
    upload = backend.storage.folder("job") / "input"
    upload.mkdir()
    run_passes(backend, 1)
    assert not upload.exists()
    written = backend.storage.read_record("job")
    assert written is not None
    assert written.error_code == "EMPTY_IMAGE"


def test_leftovers_of_ended_work_are_removed(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.ERROR, attempt=1)
    take(redis_client)
    redis_client.zadd("rq:wip:analyses", {"job:execution": time.time() + 999, "nobody:execution": 5})
    run_passes(backend)
    assert backend.queue.taken() == []
    assert backend.queue.started() == {}


def test_a_stale_rq_lock_has_no_effect(backend: Backend, redis_client: Any) -> None:
    redis_client.set("rq:clean_registries:analyses", 1, ex=899)
    put(backend)
    take(redis_client)
    run_passes(backend)
    assert stand(backend) == ("queued", ["job"])


def test_one_reconciler_runs_at_a_time_and_a_killed_one_blocks_at_most_ten_seconds(
    backend: Backend, redis_client: Any
) -> None:
    assert backend.queue.acquire_reconciling_lock("killed")
    assert 0 < redis_client.ttl("jobs:reconciling") <= 10
    put(backend, status=Status.ERROR)
    Reconciler(backend).reconcile_safely()
    assert backend.queue.waiting() == ["job"], "somebody else's turn"
    redis_client.delete("jobs:reconciling")
    Reconciler(backend).reconcile_safely()
    assert backend.queue.waiting() == []
    assert not redis_client.exists("jobs:reconciling")


def test_ten_thousand_finished_jobs_do_not_slow_a_pass(backend: Backend, redis_client: Any) -> None:
    text = JobRecord(id="x", status=Status.COMPLETE, created_at=now()).to_json()
    redis_client.hset("jobs", mapping={f"old{number}": text for number in range(10_000)})
    instance = Reconciler(backend)
    instance.reconcile()
    before = time.process_time()
    for _ in range(10):
        instance.reconcile()
    assert time.process_time() - before < 0.5


@pytest.mark.slow
def test_a_second_attempt_does_not_use_a_locked_folder(backend: Backend, holder: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "from jobs.worker.tasks import run_job; run_job('job')"], cwd=ROOT, check=True
    )
    assert time.monotonic() - begun > 3, "it waits for an attempt that is about to end"
    assert stand(backend)[0] == "queued"
    assert not backend.storage.log_path("job").exists()


def test_attempts_are_also_counted_in_the_folder(backend: Backend, holder: subprocess.Popen[bytes]) -> None:
    """After losing its last second, the server would give two attempts the same number."""
    holder.kill()
    holder.wait()
    lock = WorkLock(backend.storage.folder("job") / "work.lock")
    assert (lock.last_attempt, lock.state()) == (3, Work.OVER)
    subprocess.run(
        [sys.executable, "-c", "from jobs.worker.tasks import run_job; run_job('job')"], cwd=ROOT, check=True
    )
    record = backend.store.load("job")
    assert record is not None
    assert (record.status, record.attempt) == (Status.ERROR, 4)


def test_work_is_killed_even_if_its_worker_lost_the_queue(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.PROCESSING, attempt=3)
    path = backend.storage.folder("job") / "work.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, process_group=0)
    assert process.stdout is not None
    process.stdout.readline()
    begun = time.monotonic()
    view: JobView = service.cancel("job")
    assert time.monotonic() - begun < 1
    assert view.error_code == "CANCELLED"
    assert process.wait(1) == -9
    process.communicate()


def test_a_manual_reconciliation_runs_a_second_pass_if_needed(backend: Backend, redis_client: Any) -> None:
    put(backend)
    take(redis_client)
    assert [item.job_id for item in reconciler.reconcile()] == ["job"]


@pytest.mark.slow
def test_a_job_that_ends_without_the_queue_is_complete_and_not_run_again(tmp_path: Path) -> None:
    """A separate Valkey is killed while the analysis runs and restarted when it has ended."""
    from bench.service.inside import Inside, small_knee
    from bench.service.site import running_site

    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(small_knee())
    with running_site() as place:
        queue = place.start_queue()
        inside = Inside(place)
        assert (
            place.python(
                f"from pathlib import Path; from bench.service.submitting import submit; submit(Path({str(scan)!r}))"
            )
            == 0
        )
        place.start_worker()
        wait_until(lambda: any(record.current_step >= 2 for record in inside.records().values()), seconds=60)
        (job_id,) = inside.records()
        queue.kill()
        queue.wait()
        wait_until(lambda: inside.storage.read_manifest(job_id, 1), seconds=60, what="the results")
        time.sleep(1)
        place.start_queue()
        wait_until(lambda: inside.records()[job_id].status is Status.COMPLETE, seconds=30, what="the end")
        time.sleep(0.5)
        assert inside.attempts(job_id) == 1
        assert inside.client.get("stats:total_processed") == "1"
        assert inside.queue.waiting() == []

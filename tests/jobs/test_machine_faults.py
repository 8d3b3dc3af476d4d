"""Faults of the machine interrupt jobs and end none: what is recognised, what is queued again, what /health states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs import service
from jobs.errors import StorageFull
from jobs.intake.submission import new_upload
from jobs.state import reconciler
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.data_dir import adopt_data_dir
from jobs.state.faults import FaultKind
from jobs.state.model import JobRecord, Status
from jobs.state.reconciler import Reconciler
from jobs.state.room import needed_bytes
from jobs.state.work_lock import WorkLock
from jobs.state.workers import WorkerState, write_state
from jobs.worker.machine_fault import NOTE, MachineFault, fault_behind, give_back
from jobs.worker.pausing import Pause
from jobs.worker.shared_locks import LOCAL, SharedLocks
from jobs.worker.tasks import run_job
from pipeline.errors import OutOfMemory, UnreadableImage


@pytest.fixture
def backend(redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.setattr(reconciler, "CONFIRM_AFTER_S", 0.0)
    monkeypatch.setattr(reconciler, "HEARTBEAT_MISSED", now() - now())
    backend = open_backend()
    adopt_data_dir(backend.client, backend.storage)
    return backend


def put(backend: Backend, job_id: str = "job", **fields: Any) -> None:
    record = JobRecord(id=job_id, created_at=now(), input_filename="knee.nii.gz")
    backend.storage.write_record(record)
    backend.queue.enqueue(record)
    if fields:
        backend.store.change(job_id, lambda _: fields)


def load(backend: Backend, job_id: str = "job") -> JobRecord:
    record = backend.store.load(job_id)
    assert record is not None
    return record


@pytest.fixture
def unmounted(backend: Backend) -> Any:
    """An empty folder is where the data directory was; the queue is elsewhere."""
    root = backend.storage.root
    away = root.with_name(f"{root.name}.away")
    root.rename(away)
    root.mkdir()
    (root / "valkey").symlink_to(away / "valkey")
    yield root
    (root / "valkey").unlink()
    root.rmdir()
    away.rename(root)


def raised(action: Any) -> BaseException:
    try:
        action()
    except (OSError, MemoryError) as error:
        return error
    raise AssertionError("nothing was raised")


def test_faults_of_the_machine_are_distinguished_from_errors_of_the_scan(backend: Backend) -> None:
    def write_to_a_full_disk() -> None:
        with open("/dev/full", "wb", buffering=0) as stream:  # noqa: PTH123 -- a device
            stream.write(b"x")

    storage = backend.storage
    full = raised(write_to_a_full_disk)
    assert fault_behind(full, storage) is FaultKind.DISK_FULL
    assert fault_behind(raised(lambda: bytearray(1 << 62)), storage) is FaultKind.OUT_OF_MEMORY
    assert fault_behind(OutOfMemory("x"), storage) is FaultKind.OUT_OF_MEMORY
    wrapped = RuntimeError("a library reports it as another error")
    wrapped.__cause__ = full
    assert fault_behind(wrapped, storage) is FaultKind.DISK_FULL
    assert fault_behind(UnreadableImage("x"), storage) is None
    assert fault_behind(raised(lambda: Path("/nonexistent").read_bytes()), storage) is None


def test_a_job_interrupted_by_a_fault_is_queued_again_and_not_counted(backend: Backend, redis_client: Any) -> None:
    for _ in range(3):
        put(backend, "other")
        put(backend, status=Status.PROCESSING, attempt=1)
        backend.queue.remove("job")
        give_back(backend, "job", 1, MachineFault(FaultKind.READ_ONLY))
        Reconciler(backend).reconcile()
        record = load(backend)
        assert (record.status, record.lost_attempts) == (Status.QUEUED, 0)
        assert backend.queue.waiting() == ["job", "other"], "it had begun: it is the next"
        assert "read-only" in service.get("job").warnings[0]
        redis_client.flushdb()
        backend = open_backend()


def test_only_a_job_that_others_outlast_ends_for_lack_of_memory(backend: Backend, redis_client: Any) -> None:
    put(backend, status=Status.PROCESSING, attempt=1)
    fault = MachineFault(FaultKind.OUT_OF_MEMORY)
    for _ in range(4):
        give_back(backend, "job", 1, fault)
    assert load(backend).status is Status.PROCESSING, "nothing shows that it is this job's fault"
    for _ in range(3):
        redis_client.incr("stats:total_processed")
        give_back(backend, "job", 1, fault)
    record = load(backend)
    assert (record.status, record.error_code) == (Status.ERROR, "OUT_OF_MEMORY")


def test_a_fault_of_a_superseded_attempt_changes_nothing(backend: Backend) -> None:
    put(backend, status=Status.PROCESSING, attempt=2)
    give_back(backend, "job", 1, MachineFault(FaultKind.DISK_FULL))
    assert load(backend).fault == ""


def test_a_vanished_data_directory_deletes_no_job_and_takes_none(backend: Backend, unmounted: Path) -> None:
    backend.queue.enqueue(JobRecord(id="job", created_at=now()))
    backend.queue.remove("job")
    for _ in range(2):
        assert Reconciler(backend).reconcile() == []
    assert load(backend).status is Status.QUEUED
    with pytest.raises(StorageFull, match="missing"):
        new_upload().check_announced(10)
    run_job("job")
    fault = NOTE.take()
    assert fault is not None
    assert (fault.kind, load(backend).fault) == (FaultKind.DATA_MISSING, "DATA_MISSING")
    pause = Pause(backend, "worker")
    assert "missing" in pause.check()
    assert any("data directory" in problem for problem in service.health().problems)
    assert list(unmounted.iterdir()) == [unmounted / "valkey"], "nothing was written to the wrong place"


def test_another_folder_instead_is_noticed_until_it_is_adopted(backend: Backend, redis_client: Any) -> None:
    redis_client.set("jobs:data_dir", "another")
    assert "missing" in Pause(backend, "worker").check()
    adopt_data_dir(backend.client, backend.storage)
    assert Pause(backend, "worker").check() == ""


def test_a_worker_pauses_after_a_fault_and_longer_after_the_next(backend: Backend) -> None:
    pause = Pause(backend, "worker")
    NOTE.write(MachineFault(FaultKind.OUT_OF_MEMORY))
    pause.job_ended()
    assert pause.check() == FaultKind.OUT_OF_MEMORY.words
    NOTE.write(MachineFault(FaultKind.DISK_FULL, 1 << 60))
    pause.job_ended()
    assert "the next job needs" in pause.check(), "as long as there is too little space"
    pause.job_ended()
    pause._until = 0.0
    assert pause.check() != "", "the disk is still too small"


def test_room_is_reserved_for_every_job(backend: Backend, redis_client: Any) -> None:
    free = backend.storage.free_bytes()
    redis_client.set("jobs:alive:first", "machine", ex=15)
    assert backend.room.reserve("first", free // 2)
    assert not backend.room.reserve("second", free // 3 * 2)
    assert backend.room.reserve("second", free // 4)
    backend.room.release("second")
    redis_client.delete("jobs:alive:first")
    assert backend.room.reserve("second", free // 3 * 2), "the reservation of a killed worker is dropped"
    assert needed_bytes(160 * 384 * 384) > 251_000_000
    assert needed_bytes(512 * 512 * 400) > 923_000_000


def test_each_attempt_has_its_own_folder_with_the_finished_work(backend: Backend) -> None:
    put(backend)
    first = backend.storage.begin_attempt("job", 1)
    (first.work_dir / "steps.json").write_text("{}")
    (first.work_dir / ".part").write_text("unfinished")
    (first.work_dir / "scratch").mkdir()
    second = backend.storage.begin_attempt("job", 2)
    assert [path.name for path in second.work_dir.iterdir()] == ["steps.json"]
    assert (first.work_dir / "steps.json").samefile(second.work_dir / "steps.json")
    with pytest.raises(FileExistsError):
        backend.storage.begin_attempt("job", 2)
    backend.storage.remove_other_attempts("job", 2)
    assert backend.storage.attempts("job") == [2]


def test_the_last_holder_of_a_lock_is_known_while_it_is_held(tmp_path: Path) -> None:
    """Otherwise a second machine would take a running job for its own, where locks are local."""
    lock = WorkLock(tmp_path / "work.lock")
    (tmp_path / "work.lock").write_text('{"attempt": 1, "machine": "another", "processes": "x", "pid": 1}')
    with lock.hold() as held:
        assert held
        assert lock.last_held_elsewhere
    with lock.hold():
        assert not lock.last_held_elsewhere


def test_local_locks_are_recognised(tmp_path: Path) -> None:
    first, second = SharedLocks(tmp_path, "first"), SharedLocks(tmp_path, "second")
    first.check([])
    states = [WorkerState(name="first", machine="another machine")]
    second.check(states)
    assert second.problem == "", "the lock of the other machine is seen"
    first.close()
    second.check(states)
    assert second.problem == LOCAL
    second.close()


def test_health_reports_pauses_clocks_and_locks(backend: Backend) -> None:
    backend.client.sadd("rq:workers:analyses", "rq:worker:one")
    state = WorkerState(name="one", machine="x", paused=FaultKind.DISK_FULL.words, skew_s=300.0, locks=LOCAL)
    write_state(backend.client, state, 15)
    try:
        text = " ".join(service.health().problems)
    finally:
        backend.client.srem("rq:workers:analyses", "rq:worker:one")
    assert "A worker is paused: the disk of the data directory has too little space." in text
    assert "300 s ahead" in text
    assert "locks are not shared" in text


def test_positions_in_a_long_queue(backend: Backend, redis_client: Any) -> None:
    redis_client.rpush("rq:queue:analyses", *(f"other{number}" for number in range(500)))
    put(backend)
    assert service.get("job").queue_position == 501
    assert {job.id: job.queue_position for job in service.recent()} == {"job": 501}

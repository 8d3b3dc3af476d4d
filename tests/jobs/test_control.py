"""Cancelling, deleting, running again and copying a job, without a worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.control import cancelling, copying, retrying, work
from jobs.control.cancelling import cancel, delete
from jobs.control.copying import copy
from jobs.control.retrying import can_retry, has_input, retry
from jobs.control.work import stop_work
from jobs.errors import JobConflict, JobNotFound, QueueUnavailable
from jobs.settings import Settings
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, RecordChanges, Status
from jobs.state.queue import AnalysisQueue
from jobs.state.research import copies, keep_for_research
from jobs.state.store import JobStore
from jobs.state.work_lock import WorkLock, boot_id
from pipeline.products import LABEL_MAP, SCAN

UNREACHABLE = "redis://127.0.0.1:1/0"


@pytest.fixture
def backend(redis_client: Any) -> Backend:
    return open_backend()


def put(backend: Backend, **fields: Any) -> JobRecord:
    """A job with its upload; queued, if no other status is given."""
    record = JobRecord(id="job", created_at=now(), input_filename="knee.nii.gz", input_path="input/knee.nii.gz")
    backend.storage.write_record(record)
    upload = backend.storage.folder("job") / "input" / "knee.nii.gz"
    upload.parent.mkdir()
    upload.write_bytes(b"scan")
    backend.queue.enqueue(record)
    if fields:
        backend.store.change("job", lambda _: RecordChanges(**fields))
        backend.queue.remove("job")
    changed = replace(record, **fields)
    backend.storage.write_record(changed)
    return changed


def make(backend: Backend, marker: str) -> None:
    """A product of the job, as far as its existence is concerned."""
    path = backend.storage.newest_workspace("job").root / marker
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"product")


def record_of(backend: Backend, job_id: str = "job") -> JobRecord:
    record = backend.store.load(job_id)
    assert record is not None
    return record


def written(backend: Backend, job_id: str = "job") -> JobRecord:
    record = backend.storage.read_record(job_id)
    assert record is not None
    return record


def hours_left(record: JobRecord) -> float:
    assert record.expires_at is not None
    return (record.expires_at - now()) / timedelta(hours=1)


@pytest.mark.parametrize("action", [cancel, delete, retry, copy])
def test_an_unknown_job_and_a_queue_that_does_not_answer_are_reported(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, action: Callable[[str], object]
) -> None:
    with pytest.raises(JobNotFound):
        action("nobody")
    put(backend, status=Status.ERROR)
    offline = replace(backend, queue=AnalysisQueue(UNREACHABLE))
    for module in (cancelling, copying, retrying):
        monkeypatch.setattr(module, "open_backend", lambda: offline)
    backend.store.change("job", lambda _: {"status": Status.QUEUED if action is cancel else Status.ERROR})
    with pytest.raises(QueueUnavailable):
        action("job")


# Cancel and delete.


def test_a_cancelled_job_ends_at_once_and_keeps_no_upload(backend: Backend) -> None:
    put(backend)
    assert cancel("job").error_code == "CANCELLED"
    assert written(backend).error_code == "CANCELLED"
    assert backend.queue.waiting() == []
    assert not (backend.storage.folder("job") / "input").exists()
    with pytest.raises(JobConflict, match="already ended"):
        cancel("job")


def test_a_deletion_interrupted_by_the_queue_prevents_another_run(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(backend)
    offline = replace(backend, queue=AnalysisQueue(UNREACHABLE))
    monkeypatch.setattr(cancelling, "open_backend", lambda: offline)
    with pytest.raises(QueueUnavailable):
        delete("job")
    assert written(backend).error_code == "CANCELLED"
    backend.storage.remove("job")
    with pytest.raises(QueueUnavailable):
        delete("job")
    assert not backend.storage.folder("job").exists(), "a missing folder is not made for it"


@pytest.mark.parametrize("status", [Status.QUEUED, Status.COMPLETE])
def test_nothing_is_left_of_a_deleted_job(backend: Backend, redis_client: Any, status: Status) -> None:
    put(backend, status=status)
    delete("job")
    assert redis_client.zcard("stats:counted") == (1 if status is Status.QUEUED else 0), "its end is counted once"
    assert not backend.storage.folder("job").exists()
    assert [key for key in redis_client.scan_iter() if "job:job" in key] == []
    assert redis_client.hlen("jobs") == 0
    with pytest.raises(JobNotFound):
        cancel("job")


def test_the_copy_for_research_is_deleted_with_the_job_unless_that_expires(backend: Backend) -> None:
    keeping = Settings(research_copies=True, research_purpose="reference values")
    for expired in (False, True):
        record = put(backend, status=Status.COMPLETE, retain_for_research=True)
        assert keep_for_research(keeping, backend.storage, record) is not None
        if expired:
            delete("job", with_research_copy=False)
        else:
            delete("job")
        assert len(copies(backend.storage)) == (1 if expired else 0)


# Run again.


def test_an_ended_job_runs_again_as_the_next_attempt(backend: Backend) -> None:
    put(backend, status=Status.ERROR, attempt=3, error_code="EMPTY_IMAGE", options={"side": "left"})
    make(backend, "results/manifest.json")
    view = retry("job")
    assert (view.status, view.error_code, view.queue_position) == (Status.QUEUED, "", 1)
    for record in (record_of(backend), written(backend)):
        assert (record.attempt, record.status, record.options["side"]) == (4, Status.QUEUED, "left")
        assert hours_left(record) == pytest.approx(24, abs=0.1)
    assert not (backend.storage.newest_workspace("job").manifest_path).exists(), "it would mark the job as complete"


def test_options_can_be_changed_for_another_run(backend: Backend) -> None:
    put(backend, status=Status.COMPLETE, options={"side": "left"})
    assert retry("job", {"side": "right"}).options["side"] == "right"


@pytest.mark.parametrize("action", [retry, copy])
def test_only_an_ended_job_with_its_scan_runs_again(backend: Backend, action: Callable[[str], object]) -> None:
    put(backend, status=Status.PROCESSING)
    with pytest.raises(JobConflict, match="processing"):
        action("job")
    backend.store.change("job", lambda _: {"status": Status.ERROR})
    backend.storage.remove_upload("job")
    with pytest.raises(JobConflict, match="scan of this job has been deleted"):
        action("job")


def test_options_for_reading_need_the_upload(backend: Backend) -> None:
    put(backend, status=Status.ERROR, options={"side": "left"})
    make(backend, SCAN.marker)
    backend.storage.remove_upload("job")
    with pytest.raises(JobConflict, match=r"^side is used"):
        retry("job", {"side": "right"})
    with pytest.raises(JobConflict, match=r"^side and series are used"):
        retry("job", {"side": "right", "series": "2"})
    assert retry("job", {"side": "left", "t2": False}).status is Status.QUEUED


def test_options_for_reading_can_change_while_the_upload_is_there_or_was_never_needed(backend: Backend) -> None:
    put(backend, status=Status.ERROR, options={"side": "left"})
    make(backend, SCAN.marker)
    assert retry("job", {"side": "right"}).status is Status.QUEUED
    cancel("job")
    backend.store.change("job", lambda _: {"input_path": ""})
    assert retry("job", {"side": "left"}).status is Status.QUEUED


def test_a_job_whose_last_run_is_still_stopping_does_not_run_again(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(backend, status=Status.ERROR)
    monkeypatch.setattr(work, "KILL_AFTER_S", 0.01)
    monkeypatch.setattr(work, "STOP_TIMEOUT_S", 0.05)
    with backend.storage.work_lock("job").hold(), pytest.raises(JobConflict, match="still stopping"):
        retry("job")
    assert record_of(backend).status is Status.ERROR


class Interleaved(JobStore):
    """A store in which another request changes the record after each reading."""

    def load_text(self, job_id: str) -> tuple[JobRecord | None, str]:
        found = super().load_text(job_id)
        self.change(job_id, lambda _: {"hint": "changed"})
        return found


def test_of_two_requests_at_once_one_is_refused(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(backend, status=Status.ERROR)
    contested = replace(backend, store=Interleaved(redis_client))
    monkeypatch.setattr(retrying, "open_backend", lambda: contested)
    with pytest.raises(JobConflict, match="Another request"):
        retry("job")
    assert backend.queue.waiting() == []


UPLOAD, LABELS = "input/knee.nii.gz", "input/labels.nii.gz"


@pytest.mark.parametrize(
    ("paths", "there", "complete"),
    [
        ((UPLOAD, ""), {UPLOAD}, True),
        ((UPLOAD, ""), {SCAN.marker}, True),
        ((UPLOAD, ""), set(), False),
        ((UPLOAD, ""), {LABEL_MAP.marker}, False),
        (("", LABELS), {LABELS}, True),
        (("", LABELS), {LABEL_MAP.marker}, True),
        (("", LABELS), {SCAN.marker}, False),
        ((UPLOAD, LABELS), {UPLOAD, LABELS}, True),
        ((UPLOAD, LABELS), {SCAN.marker, LABELS}, True),
        ((UPLOAD, LABELS), {LABELS}, False),
        ((UPLOAD, LABELS), {UPLOAD}, False),
        (("", ""), {SCAN.marker}, True),
        (("", ""), {UPLOAD}, False),
    ],
)
def test_a_job_can_run_again_if_each_of_its_files_is_there_or_was_read(
    backend: Backend, paths: tuple[str, str], there: set[str], complete: bool
) -> None:
    record = replace(JobRecord(id="job"), input_path=paths[0], labels_path=paths[1])
    backend.storage.write_record(record)
    for name in there:
        make(backend, name)
    assert has_input(backend.storage, record) == complete
    assert can_retry("job") == complete


def test_an_unknown_job_cannot_run_again(backend: Backend) -> None:
    assert can_retry("nobody") is False


# Copy.


def test_a_copy_is_a_new_job_with_the_scan_of_the_ended_one(backend: Backend) -> None:
    put(backend, status=Status.COMPLETE, attempt=2, input_path="/elsewhere/jobs/job/input/knee.nii.gz")
    make(backend, SCAN.marker)
    make(backend, "results/manifest.json")
    before = record_of(backend)
    view = copy("job", {"side": "right"})
    assert view.id != "job"
    assert (view.status, view.options["side"]) == (Status.QUEUED, "right")
    assert backend.queue.waiting() == [view.id]
    made = record_of(backend, view.id)
    assert (made.attempt, made.input_path, made.labels_path) == (0, "input/knee.nii.gz", "")
    assert hours_left(made) == pytest.approx(24, abs=0.1)
    assert written(backend, view.id) == replace(made, email=None)
    folder = backend.storage.folder(view.id)
    assert (folder / "input" / "knee.nii.gz").read_bytes() == b"scan"
    assert (folder / SCAN.marker).exists()
    assert not (folder / "results").exists()
    assert record_of(backend) == before
    assert (backend.storage.folder("job") / "results" / "manifest.json").exists()
    assert list((backend.storage.root / "incoming").iterdir()) == []


def test_a_copy_of_a_job_without_its_upload_has_what_was_read_from_it(backend: Backend) -> None:
    put(backend, status=Status.ERROR)
    make(backend, SCAN.marker)
    backend.storage.remove_upload("job")
    view = copy("job")
    assert can_retry(view.id)
    assert not (backend.storage.folder(view.id) / "input").exists()


# Work in progress.


def leave_lock(backend: Backend, machine: str) -> None:
    (backend.storage.folder("job") / "work.lock").write_text(
        f'{{"attempt": 1, "machine": "{machine}", "processes": "another", "pid": 1}}'
    )


def test_work_that_nobody_does_is_stopped(backend: Backend) -> None:
    put(backend)
    assert stop_work(backend, "job")


@pytest.mark.parametrize(("machine", "stopped"), [(boot_id(), True), ("another", False)])
def test_a_free_lock_proves_the_end_on_this_machine_only(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch, machine: str, stopped: bool
) -> None:
    put(backend)
    leave_lock(backend, machine)
    redis_client.hset("rq:job:job", "status", "started")
    monkeypatch.setattr(work, "KILL_AFTER_S", 0.06)
    monkeypatch.setattr(work, "STOP_TIMEOUT_S", 0.12)
    begun = time.monotonic()
    assert stop_work(backend, "job") is stopped
    assert time.monotonic() - begun > (work.KILL_AFTER_S if stopped else work.STOP_TIMEOUT_S)


def held_by_child(path: Path, seconds: float) -> int:
    """The pid of a process that holds the lock for a time, then ends with 7."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with WorkLock(path).hold():
            os.write(tell, b".")
            time.sleep(seconds)
        os._exit(7)
    assert os.read(ready, 1) == b"."
    os.close(ready)
    os.close(tell)
    return child


@pytest.mark.parametrize(("seconds", "end"), [(0.15, 7), (60.0, -9)])
def test_work_has_time_to_stop_before_it_is_killed(backend: Backend, seconds: float, end: int) -> None:
    put(backend)
    child = held_by_child(backend.storage.folder("job") / "work.lock", seconds)
    assert stop_work(backend, "job")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == end

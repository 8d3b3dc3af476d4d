"""When jobs and unfinished files expire, and what a pass does about faults."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.control import cancelling, expiry
from jobs.control.expiry import COMPACT_INTERVAL_S, LEFTOVER_S, READ_INTERVAL_S, Expiry
from jobs.settings import Settings
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from jobs.state.queue import AnalysisQueue, text_client
from jobs.state.research import copies, keep_for_research
from jobs.state.store import JobStore

PAST, FUTURE = timedelta(seconds=-1), timedelta(hours=1)


@pytest.fixture
def backend(redis_client: Any) -> Backend:
    return open_backend()


def put(backend: Backend, job_id: str, ends: timedelta | None, *, folder: bool = True) -> JobRecord:
    """An ended job that expires after a time."""
    record = JobRecord(
        id=job_id, status=Status.ERROR, created_at=now(), expires_at=None if ends is None else now() + ends
    )
    backend.store.add_ended(record)
    if folder:
        backend.storage.write_record(record)
    return record


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_expired_jobs_are_deleted_with_their_records(backend: Backend) -> None:
    put(backend, "a-old", PAST)
    put(backend, "b-new", FUTURE)
    put(backend, "c-old", PAST)
    assert Expiry().purge() == ["a-old", "c-old"]
    assert backend.storage.job_ids() == ["b-new"]
    assert [record.id for record in backend.store.recent(9)] == ["b-new"]


def test_a_known_end_is_read_again_only_when_it_is_due(backend: Backend) -> None:
    backend.storage.folder("a-bare").mkdir(parents=True)
    late, due = put(backend, "late", FUTURE), put(backend, "soon", PAST)
    passes = Expiry()
    assert passes.expired(backend.storage) == ["soon"]
    backend.storage.write_record(replace(late, expires_at=due.expires_at))  # not read
    backend.storage.write_record(replace(due, expires_at=late.expires_at))  # as a job does that is started again
    assert passes.expired(backend.storage) == []
    backend.storage.write_record(due)
    assert passes.expired(backend.storage) == []
    assert Expiry().expired(backend.storage) == ["late", "soon"]


def test_a_job_without_a_folder_expires_by_its_record(backend: Backend, redis_client: Any) -> None:
    for job_id, ends in (("old", PAST), ("new", FUTURE), ("endless", None)):
        put(backend, job_id, ends, folder=False)
    redis_client.hset("jobs", "foreign", json.dumps({"id": "foreign", "status": "complete"}))
    assert Expiry().purge() == ["old"]
    assert set(redis_client.hkeys("jobs")) == {"new", "endless", "foreign"}


def test_a_folder_without_a_record_expires_too(backend: Backend, redis_client: Any) -> None:
    put(backend, "old", PAST)
    redis_client.delete("jobs")
    assert Expiry().purge() == ["old"]
    assert backend.storage.job_ids() == []


@pytest.mark.parametrize("text", ['{"id": "job"}', "{broken off", "[]", '{"expires_at": "soon"}'])
def test_without_an_expiry_time_the_age_of_the_folder_counts(backend: Backend, text: str) -> None:
    path = backend.storage.folder("job") / "job.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    lifetime_s = Settings().results_expiry_hours * 3600
    age(path, lifetime_s - 60)
    assert Expiry().expired(backend.storage) == []
    age(path, lifetime_s + 60)
    assert Expiry().expired(backend.storage) == ["job"]


@pytest.mark.parametrize("folder", [True, False])
def test_a_copy_for_research_remains_when_its_job_expires(backend: Backend, folder: bool) -> None:
    keeping = Settings(research_copies=True, research_purpose="reference values")
    record = replace(put(backend, "old", PAST), status=Status.COMPLETE, retain_for_research=True)
    kept = keep_for_research(keeping, backend.storage, record)
    assert kept is not None
    if not folder:  # known by its record alone
        (backend.storage.folder("old") / "job.json").unlink()
    assert Expiry().purge() == ["old"]
    assert copies(backend.storage) == [kept.name]


def test_unfinished_files_are_abandoned_after_an_hour(backend: Backend) -> None:
    folders = {
        "old job": backend.storage.folder("old"),
        "young job": backend.storage.folder("young"),
        "old copy": backend.storage.research / ".0123.part",
        "young copy": backend.storage.research / ".4567.part",
        "old comparison": backend.storage.comparisons / ".a_b.part",
    }
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        age(folder, LEFTOVER_S + 60 if name.startswith("old") else LEFTOVER_S - 60)
    put(backend, "whole", FUTURE)
    age(backend.storage.folder("whole"), LEFTOVER_S + 60)
    assert Expiry().purge() == []
    assert {name for name, folder in folders.items() if folder.exists()} == {"young job", "young copy"}
    assert backend.storage.job_ids() == ["whole", "young"]


def test_records_are_read_and_the_log_is_rewritten_at_intervals(
    backend: Backend, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [1000.0]
    monkeypatch.setattr(expiry, "time", SimpleNamespace(monotonic=lambda: seconds[0], time=time.time))
    passes = Expiry()
    redis_client.set("jobs:forgotten", 1)
    assert passes.purge() == []
    assert not redis_client.exists("jobs:forgotten")
    put(backend, "old", PAST, folder=False)
    redis_client.set("jobs:forgotten", 1)
    for later, gone, rewritten in (
        (COMPACT_INTERVAL_S - 1, [], False),
        (COMPACT_INTERVAL_S + 1, [], True),
        (READ_INTERVAL_S - 1, [], True),
        (READ_INTERVAL_S + 1, ["old"], False),  # its deletion waits for the next interval
    ):
        seconds[0] = 1000.0 + later
        assert passes.purge() == gone
        assert redis_client.exists("jobs:forgotten") == (not rewritten), later


def test_without_the_queue_nothing_is_deleted_and_nothing_raised(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(backend, "old", PAST)
    unreachable = "redis://127.0.0.1:1/0"
    client = text_client(unreachable)
    offline = replace(backend, client=client, store=JobStore(client), queue=AnalysisQueue(unreachable))
    for module in (expiry, cancelling):
        monkeypatch.setattr(module, "open_backend", lambda: offline)
    assert Expiry().purge() == []
    assert backend.storage.job_ids() == ["old"]
    backend.storage.remove("old")
    assert Expiry().purge() == [], "the records cannot be read either"


def test_a_disk_that_fails_ends_the_pass_only(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs").write_text("a file instead of the folder")
    broken = replace(backend, storage=type(backend.storage)(tmp_path))
    monkeypatch.setattr(expiry, "open_backend", lambda: broken)
    assert Expiry().purge() == []

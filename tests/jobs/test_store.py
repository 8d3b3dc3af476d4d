"""Records: atomic changes, rejected writes, preserved fields."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.state.model import JobRecord, Status, clean_filename
from jobs.state.store import JobStore
from pipeline.progress import StepRecord, StepState


@pytest.fixture
def store(redis_client: Any) -> JobStore:
    return JobStore(redis_client)


def put(redis_client: Any, **fields: Any) -> str:
    record = {"id": "job", "status": "processing", "attempt": 1, "options": {}} | fields
    redis_client.hset("jobs", record["id"], json.dumps(record))
    return str(record["id"])


def test_a_change_keeps_fields_of_other_programs_unchanged(store: JobStore, redis_client: Any) -> None:
    foreign = {"empty_list": [], "empty_object": {}, "big": 2**63 + 1, "nested": {"a": [{}, []]}, "text": "é\u2028"}
    put(redis_client, **foreign)
    assert store.merge("job", 1, {"progress_percent": 40})
    after = json.loads(redis_client.hget("jobs", "job"))
    assert {name: after[name] for name in foreign} == foreign
    assert after["progress_percent"] == 40


@pytest.mark.parametrize("status", ["complete", "error"])
def test_a_final_state_is_never_left(store: JobStore, redis_client: Any, status: str) -> None:
    put(redis_client, status=status)
    before = redis_client.hget("jobs", "job")
    assert not store.merge("job", 9, {"status": Status.PROCESSING, "progress_percent": 3})
    assert redis_client.hget("jobs", "job") == before


def test_an_older_attempt_cannot_write(store: JobStore, redis_client: Any) -> None:
    put(redis_client, attempt=2)
    assert not store.merge("job", 1, {"progress_percent": 99})
    assert store.merge("job", 2, {"progress_percent": 5})


def test_a_missing_job_cannot_be_written(store: JobStore, redis_client: Any) -> None:
    assert not store.merge("nobody", 1, {"progress_percent": 1})
    assert redis_client.hlen("jobs") == 0


def test_concurrent_writers_lose_no_changes(store: JobStore, redis_client: Any) -> None:
    put(redis_client, current_step=0)

    def count_up() -> None:
        for _ in range(50):
            store.change("job", lambda record: {"current_step": record.current_step + 1})

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = store.load("job")
    assert record is not None
    assert record.current_step == 200


def test_a_cancel_is_never_overwritten_by_progress(store: JobStore, redis_client: Any) -> None:
    for round_ in range(40):
        put(redis_client, id=f"job{round_}", status="processing")
    stop = threading.Event()

    def report() -> None:
        percent = 0
        while not stop.is_set():
            percent = (percent + 1) % 100
            for round_ in range(40):
                store.merge(f"job{round_}", 1, {"progress_percent": percent, "status": Status.PROCESSING})

    thread = threading.Thread(target=report)
    thread.start()
    try:
        for round_ in range(40):
            _, changed = store.change(
                f"job{round_}",
                lambda record: None if record.status.final else {"status": Status.ERROR, "error_code": "CANCELLED"},
            )
            assert changed
    finally:
        stop.set()
        thread.join()
    assert {json.loads(text)["error_code"] for text in redis_client.hvals("jobs")} == {"CANCELLED"}


def test_the_newest_jobs_come_first_including_those_of_other_programs(store: JobStore, redis_client: Any) -> None:
    for day in (3, 1, 2):
        put(redis_client, id=f"job{day}", created_at=f"2026-01-0{day}T00:00:00")
    assert [record.id for record in store.recent(2)] == ["job3", "job2"]
    store.delete("job3")
    assert [record.id for record in store.recent(5)] == ["job2", "job1"]


def test_an_unreadable_record_is_ignored(store: JobStore, redis_client: Any) -> None:
    for broken in ("", "[]", "{}", '{"id": "job", "status": "dancing"}', '{"id": 7}'):
        redis_client.hset("jobs", "job", broken)
        assert store.load("job") is None
        assert store.recent(5) == []


def test_times_are_written_with_an_offset_and_read_as_utc() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    record = JobRecord(id="job", created_at=moment)
    assert json.loads(record.to_json())["created_at"] == "2026-03-04T05:06:07+00:00"
    naive = JobRecord.from_json('{"id": "job", "status": "queued", "created_at": "2026-03-04T05:06:07"}')
    assert naive.created_at == moment
    east = JobRecord.from_json('{"id": "job", "status": "queued", "created_at": "2026-03-04T07:06:07+02:00"}')
    assert east.created_at == moment


def test_a_record_is_read_back_from_its_json() -> None:
    record = JobRecord(
        id="job",
        options={"a": []},
        warnings=["w"],
        steps=[StepRecord(name="s", title="S", state=StepState.DONE, seconds=1.5)],
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        extra={"other": {}},
    )
    assert JobRecord.from_json(record.to_json()) == record
    foreign = replace(record, ours=False, attempt=0, warnings=[], steps=[], expires_at=None)
    assert JobRecord.from_json(foreign.to_json()) == foreign


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("knee.nii.gz", "knee.nii.gz"),
        ("../../etc/passwd.nii", "passwd.nii"),
        ("C:\\scans\\left knee.NRRD", "left knee.NRRD"),
        ("..", "unknown"),
        ("", "unknown"),
        ('a"b\r\nX: y.nii', "abX y.nii"),
        ("ü" * 300 + ".nii.gz", "ü" * 193 + ".nii.gz"),
    ],
)
def test_a_clients_file_name_is_reduced_to_a_harmless_one(given: str, kept: str) -> None:
    assert clean_filename(given) == kept

"""Records: atomic changes, rejected writes, preserved fields."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.errors import QueueUnavailable
from jobs.state.clock import now
from jobs.state.model import JobRecord, RecordChanges, Status, clean_filename
from jobs.state.queue import AnalysisQueue
from jobs.state.store import JobStore
from pipeline.progress import StepRecord, StepState


@pytest.fixture
def store(redis_client: Any) -> JobStore:
    return JobStore(redis_client)


@pytest.fixture
def queue(valkey: str) -> AnalysisQueue:
    return AnalysisQueue(valkey)


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


def test_a_snapshot_is_one_transaction(store: JobStore, queue: AnalysisQueue, redis_client: Any) -> None:
    for name in ("first", "second"):
        queue.enqueue(JobRecord(id=name, created_at=now()))
    before = transactions(redis_client)
    assert [seen(store, name) for name in ("first", "second")] == [(1, "queued"), (2, "queued")]
    assert transactions(redis_client) == before + 2
    redis_client.lrem("rq:queue:analyses", 0, "first")
    assert seen(store, "first") == (None, "queued")
    assert store.snapshot("nobody") is None


def seen(store: JobStore, job_id: str) -> tuple[int | None, str | None]:
    snapshot = store.snapshot(job_id)
    assert snapshot is not None
    assert snapshot.record.id == job_id
    return snapshot.position, snapshot.rq_status


def transactions(redis_client: Any) -> int:
    """Number of transactions since the server started."""
    return int(redis_client.info("commandstats")["cmdstat_exec"]["calls"])


def test_a_record_is_read_with_its_text(store: JobStore, redis_client: Any) -> None:
    put(redis_client)
    record, text = store.load_text("job")
    assert record is not None
    assert (record.id, text) == ("job", redis_client.hget("jobs", "job"))
    assert store.load_text("nobody") == (None, "")


def test_the_index_of_open_jobs_follows_every_change(store: JobStore, redis_client: Any) -> None:
    put(redis_client)
    assert store.open_ids() == []
    store.merge("job", 1, {"progress_percent": 1})
    assert store.open_ids() == ["job"]
    store.merge("job", 1, {"status": Status.ERROR})
    assert store.open_ids() == []


def test_only_ended_and_missing_jobs_are_closed(store: JobStore, redis_client: Any) -> None:
    put(redis_client, id="running")
    put(redis_client, id="ended", status="complete")
    names = ["running", "ended", "missing"]
    redis_client.sadd("jobs:open", *names)
    for name in names:
        store.close(name)
    assert store.open_ids() == ["running"]


def test_the_index_of_open_jobs_is_rebuilt_from_the_records_of_this_program(store: JobStore, redis_client: Any) -> None:
    put(redis_client, id="running")
    put(redis_client, id="ended", status="complete")
    redis_client.hset("jobs", "foreign", json.dumps({"id": "foreign", "status": "processing"}))
    redis_client.hset("jobs", "broken", "[]")
    found = store.index_open()
    assert {name for name, record in found.items() if record is None} == {"foreign", "broken"}
    assert {record.id for record in found.values() if record is not None} == {"running", "ended"}
    assert store.open_ids() == ["running"]


def test_deleted_addresses_and_records_are_removed_from_the_log_on_disk(store: JobStore, redis_client: Any) -> None:
    put(redis_client, email="reader@knee.example")
    store.merge("job", 1, {"progress_percent": 1})
    assert rewrites(store, redis_client) == 0, "the address is still there"
    store.merge("job", 1, {"email": None})
    assert rewrites(store, redis_client) == 1
    store.merge("job", 1, {"progress_percent": 2})
    assert rewrites(store, redis_client) == 0, "once"
    store.delete("job")
    assert rewrites(store, redis_client) == 1


def rewrites(store: JobStore, redis_client: Any) -> int:
    """How often compacting makes the server rewrite its log."""
    before = redis_client.info("commandstats").get("cmdstat_bgrewriteaof", {"calls": 0})["calls"]
    store.compact_log()
    return int(redis_client.info("commandstats").get("cmdstat_bgrewriteaof", {"calls": 0})["calls"] - before)


def test_a_deletion_is_one_transaction_and_leaves_nothing(
    store: JobStore, queue: AnalysisQueue, redis_client: Any
) -> None:
    queue.enqueue(JobRecord(id="job", created_at=now()))
    queue.remove("job")
    before = transactions(redis_client)
    store.delete("job")
    assert transactions(redis_client) == before + 1
    assert not redis_client.exists("jobs", "jobs:open", "jobs:created")


def test_an_ended_job_is_restored_unless_it_is_known(store: JobStore, redis_client: Any) -> None:
    put(redis_client, id="known", created_at="2026-01-02T00:00:00")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert store.add_ended(JobRecord(id="lost", status=Status.COMPLETE, created_at=moment))
    assert store.add_ended(JobRecord(id="undated", status=Status.ERROR))
    assert not store.add_ended(JobRecord(id="known", status=Status.ERROR))
    assert [record.id for record in store.recent(5)] == ["known", "lost", "undated"]
    assert store.open_ids() == []
    record = store.load("known")
    assert record is not None
    assert record.status is Status.PROCESSING


def test_records_of_other_programs_do_not_change_the_order_of_ours(
    store: JobStore, queue: AnalysisQueue, redis_client: Any
) -> None:
    queue.enqueue(JobRecord(id="ours"))  # without a time: its place is that of its submission
    put(redis_client, id="foreign", created_at="2026-01-01T00:00:00")
    assert [record.id for record in store.recent(5)] == ["ours", "foreign"]


def test_positions_are_those_of_waiting_jobs(store: JobStore, redis_client: Any) -> None:
    redis_client.rpush("rq:queue:analyses", "first", "second", "third")
    assert store.positions(["third", "nobody", "first"]) == {"third": 3, "first": 1}
    assert store.positions([]) == {}


def test_several_records_are_read_in_the_order_asked_for(store: JobStore, redis_client: Any) -> None:
    for name in ("a", "b"):
        put(redis_client, id=name)
    redis_client.hset("jobs", "broken", "[]")
    assert [record.id for record in store.load_several(["b", "nobody", "broken", "a"])] == ["b", "a"]
    assert store.load_several([]) == []


def test_a_record_that_always_changes_is_not_written(store: JobStore, redis_client: Any) -> None:
    put(redis_client)

    def decide(record: JobRecord) -> RecordChanges:
        redis_client.hset("jobs", "job", json.dumps({"id": "job", "status": "queued", "count": next(counter)}))
        return {"progress_percent": 1}

    counter = itertools.count()
    with pytest.raises(QueueUnavailable):
        store.change("job", decide)
    assert next(counter) > 1, "it was tried again"


def test_all_records_are_listed_by_creation_time(store: JobStore, redis_client: Any) -> None:
    for day in (3, 1, 4, 2):
        put(redis_client, id=f"job{day}", created_at=f"2026-01-0{day}T00:00:00")
    assert store.ids() == ["job1", "job2", "job3", "job4"]
    assert store.count() == 4


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

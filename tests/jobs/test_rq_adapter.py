"""The names inside RQ that the product relies on still exist and mean the same. After an update of RQ a failure here
says what jobs/state/rq_adapter.py or jobs/worker/rq_worker.py has to follow.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import redis
from rq import Queue, Worker
from rq.executions import ExecutionRegistry
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from jobs.state import rq_adapter

NO_SERVER = redis.Redis(port=1)


def test_the_keys_are_those_of_rq() -> None:
    queue = Queue(rq_adapter.QUEUE_NAME, connection=NO_SERVER)
    assert queue.key == rq_adapter.QUEUE_KEY
    assert IntermediateQueue(queue.key, NO_SERVER).key == rq_adapter.INTERMEDIATE_KEY
    assert StartedJobRegistry(rq_adapter.QUEUE_NAME, NO_SERVER).key == rq_adapter.STARTED_KEY
    assert rq_adapter.keys_of_job("a") == ("rq:job:a", Result.get_key("a"), ExecutionRegistry("a", NO_SERVER).key)


def test_a_queued_job_leaves_no_other_keys(redis_client: Any, valkey: str) -> None:
    client = redis.Redis.from_url(valkey)
    queue = Queue("adapter", connection=client, serializer=JSONSerializer)
    before = set(client.scan_iter())
    queue.enqueue("os.getpid", job_id="adapter-job")
    added = {key.decode() for key in set(client.scan_iter()) - before}
    assert added == {"rq:queue:adapter", "rq:queues", rq_adapter.job_key("adapter-job")}
    client.delete("rq:queue:adapter", *rq_adapter.keys_of_job("adapter-job"))
    client.srem("rq:queues", "rq:queue:adapter")


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("run_maintenance_tasks", ["self"]),
        ("_shutdown", ["self"]),
        ("maintain_heartbeats", ["self", "job", "execution"]),
        ("execute_job", ["self", "job", "queue"]),
        ("request_force_stop", ["self", "signum", "frame"]),
        ("kill_horse", ["self", "sig"]),
        ("main_work_horse", ["self", "job", "queue"]),
        ("get_current_job_id", None),
        ("heartbeat", None),
    ],
)
def test_the_worker_has_the_methods_that_our_class_overrides(method: str, parameters: list[str] | None) -> None:
    found = list(inspect.signature(getattr(Worker, method)).parameters)
    assert parameters is None or found == parameters


def test_the_worker_has_the_attributes_that_our_class_reads() -> None:
    source = inspect.getsource(Worker) + "".join(inspect.getsource(base) for base in Worker.__mro__[1:-1])
    for name in ("_stop_requested", "horse_pid", "last_cleaned_at", "max_connection_wait_time", "worker_ttl"):
        assert f"self.{name}" in source or f"def {name}" in source, name


def test_a_job_has_the_hooks_that_our_class_disables() -> None:
    assert isinstance(inspect.getattr_static(Job, "func"), property)
    for name in ("success_callback", "failure_callback", "stopped_callback", "send_webhooks"):
        assert hasattr(Job, name), name

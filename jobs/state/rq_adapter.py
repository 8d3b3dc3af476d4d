"""The names inside RQ that the queue relies on and that RQ does not promise to keep: its keys in Redis, its private
functions. Nothing else in the product names them; tests/jobs/test_rq_adapter.py fails when RQ changes one of them.
"""

from __future__ import annotations

from typing import Final

from rq import Queue
from rq.job import Job
from rq.timeouts import JobTimeoutException as JobTimedOut
from rq.timeouts import UnixSignalDeathPenalty as TimeLimit
from rq.worker_registration import clean_worker_registry

__all__ = [
    "INTERMEDIATE_KEY",
    "QUEUE_KEY",
    "QUEUE_NAME",
    "STARTED_KEY",
    "STUDY_QUEUE_KEY",
    "STUDY_QUEUE_NAME",
    "STUDY_STARTED_KEY",
    "WORKERS_KEY",
    "JobTimedOut",
    "TimeLimit",
    "job_id_of_execution",
    "job_key",
    "keys_of_job",
    "remove_dead_workers",
    "worker_name",
]

QUEUE_NAME: Final = "analyses"
QUEUE_KEY: Final = f"rq:queue:{QUEUE_NAME}"
"""List of the ids of queued jobs, next one first."""

INTERMEDIATE_KEY: Final = f"{QUEUE_KEY}:intermediate"
"""List of the ids of jobs that a worker has taken and whose work-horse has not started. A worker that is killed in
between leaves its entry here.
"""

STARTED_KEY: Final = f"rq:wip:{QUEUE_NAME}"
"""Sorted set of `job id:execution id` of running jobs."""

STUDY_QUEUE_NAME: Final = "studies"
STUDY_QUEUE_KEY: Final = f"rq:queue:{STUDY_QUEUE_NAME}"
STUDY_STARTED_KEY: Final = f"rq:wip:{STUDY_QUEUE_NAME}"
"""The same for the parts of studies. Workers take from the other queue first."""

WORKERS_KEY: Final = f"rq:workers:{QUEUE_NAME}"
"""Set of the keys of the workers of the queue."""


def worker_name(key: str) -> str:
    """Name of a worker in WORKERS_KEY."""
    return key.removeprefix("rq:worker:")


def job_key(job_id: str) -> str:
    """RQ's hash of a job."""
    return str(Job.key_for(job_id))


def keys_of_job(job_id: str) -> tuple[str, ...]:
    """All keys that RQ keeps for one job."""
    return job_key(job_id), f"rq:results:{job_id}", f"rq:executions:{job_id}"


def job_id_of_execution(entry: str) -> str:
    """Job id of an entry in STARTED_KEY."""
    return entry.split(":", maxsplit=1)[0]


def remove_dead_workers(queue: Queue) -> None:
    """Remove the names of workers whose hash has expired."""
    clean_worker_registry(queue)

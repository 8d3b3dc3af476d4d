"""An e-mail address is only in its job's record, and only until the job has ended in any way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.service.dump import dump
from jobs import service
from jobs.control.expiry import purge_expired
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.lifecycle import interrupted
from jobs.state.model import Status
from jobs.state.reconciler import repair_job
from tests.support.processes import DATA_DIR, wait_until
from tests.support.submitted import image, submit

pytestmark = pytest.mark.slow

ADDRESS = "mary.doe@example.org"


def everything(url: str) -> bytes:
    """All keys and values of the store."""
    return b"\n".join(key.encode() + value for key, value in dump(url).items())


def files() -> bytes:
    """All files of all jobs."""
    return b"\n".join(path.read_bytes() for path in (DATA_DIR / "jobs").rglob("*") if path.is_file())


@pytest.fixture
def job_id(redis_client: Any, tmp_path: Path) -> str:
    scan = image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16))
    job_id = submit(scan, email=ADDRESS).id
    assert ADDRESS in redis_client.hget("jobs", job_id)
    assert ADDRESS.encode() not in files()
    return job_id


def expire(job_id: str) -> None:
    record = open_backend().store.load(job_id)
    assert record is not None
    open_backend().storage.write_record(replace(record, expires_at=now() - timedelta(seconds=1)))
    assert job_id in purge_expired()


def lose(job_id: str) -> None:
    """Its second attempt is interrupted."""
    backend = open_backend()
    backend.store.change(job_id, lambda _: {"status": Status.PROCESSING, "attempt": 2, "lost_attempts": 1})
    backend.store.change(job_id, interrupted)
    assert service.get(job_id).error_code == "WORKER_LOST"


def finish(job_id: str) -> None:
    """Its results are complete, and the worker has been killed."""
    backend = open_backend()
    backend.store.change(job_id, lambda _: {"status": Status.PROCESSING, "attempt": 1})
    path = backend.storage.begin_attempt(job_id, 1).manifest_path
    path.write_text('{"archive_bytes": 1, "warnings": [], "steps": []}')
    backend.queue.remove(job_id)
    with backend.storage.work_lock(job_id).hold() as held:
        assert held
    assert repair_job(backend, job_id) is not None
    assert service.get(job_id).status is Status.COMPLETE


@pytest.mark.parametrize("end", [service.cancel, service.delete, expire, lose, finish])
def test_the_address_is_deleted_when_the_job_ends(
    redis_client: Any, valkey: str, job_id: str, end: Callable[[str], object]
) -> None:
    assert ADDRESS.encode() in everything(valkey)
    end(job_id)
    assert ADDRESS.encode() not in everything(valkey)
    assert ADDRESS.encode() not in files()
    assert redis_client.scard("stats:unique_emails") == 1


def test_the_address_is_removed_from_the_log_of_the_queue(redis_client: Any, job_id: str) -> None:
    def held() -> bool:
        return any(ADDRESS.encode() in path.read_bytes() for path in (DATA_DIR / "valkey").rglob("*.aof"))

    wait_until(held, what="a log on disk that holds the address")  # the proof below could fail
    service.cancel(job_id)
    purge_expired()
    wait_until(lambda: not held(), what="a log on disk without the address")
    assert redis_client.hget("jobs", job_id) is not None
    service.delete(job_id)


def test_an_address_counts_once_and_cannot_be_recovered(redis_client: Any, valkey: str) -> None:
    for spelling in (ADDRESS, f"  {ADDRESS.upper()} ", ADDRESS.title()):
        open_backend().statistics.record_email(spelling)
    (digest,) = redis_client.smembers("stats:unique_emails")
    assert len(digest) == 64
    assert service.stats().unique_users == 1
    secret = DATA_DIR / "secret"
    assert secret.stat().st_mode & 0o077 == 0
    assert b"mary" not in everything(valkey).lower()

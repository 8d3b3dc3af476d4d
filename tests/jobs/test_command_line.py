"""python -m jobs, as a process, on a queue with jobs in it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import service
from jobs.command_line.commands import main
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import Status
from jobs.state.queue import HEARTBEAT_MISSED
from tests.support.processes import DATA_DIR, ROOT, wait_until
from tests.support.submitted import image, submit

pytestmark = pytest.mark.slow


def call(*arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def printed(*arguments: str) -> str:
    """Standard output of a successful command, run in this process."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert main(list(arguments)) == 0
    return output.getvalue()


def read(*arguments: str) -> Any:
    return json.loads(printed(*arguments, "--json"))


@pytest.fixture
def job_id(redis_client: Any, tmp_path: Path) -> str:
    content = image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16))
    return submit(content, "knee.nii.gz", email="mary@example.org").id


def test_a_job_is_listed_shown_cancelled_retried_and_deleted(job_id: str) -> None:
    assert [job["id"] for job in read("list")] == [job_id]
    assert [job["id"] for job in read("list", "--status", "queued")] == [job_id]
    assert read("list", "--status", "complete") == []
    assert job_id in call("list").stdout
    assert json.loads(call("list", "--json").stdout)[0]["id"] == job_id
    assert read("show", job_id)["status"] == "queued"
    assert "cancelled" in call("cancel", job_id).stdout
    assert read("show", job_id)["error_code"] == "CANCELLED"
    assert "already ended" in call("cancel", job_id, status=1).stderr
    assert read("purge", "--job", job_id, "--dry-run") == {"jobs": [job_id], "deleted": False}
    assert service.get(job_id).status is Status.ERROR
    assert read("purge", "--job", job_id) == {"jobs": [job_id], "deleted": True}
    assert "not found" in call("show", job_id, status=1).stderr.lower()
    assert not (DATA_DIR / "jobs" / job_id).exists()


def test_no_command_shows_an_email_address(job_id: str) -> None:
    for arguments in (["stats"], ["list"], ["show", job_id], ["purge", "--dry-run"], ["reconcile", "--once"]):
        for form in ([], ["--json"]):
            assert "mary" not in printed(*arguments, *form)
    service.delete(job_id)


def test_expired_jobs_are_listed_and_then_deleted(job_id: str) -> None:
    record = open_backend().store.load(job_id)
    assert record is not None
    open_backend().storage.write_record(replace(record, expires_at=now() - timedelta(seconds=1)))
    assert read("purge", "--dry-run")["jobs"] == [job_id]
    assert service.get(job_id).status is Status.QUEUED
    assert read("purge") == {"jobs": [job_id], "deleted": True}
    assert "Nothing to do." in printed("purge")


def test_a_lost_queue_entry_is_restored(job_id: str, redis_client: Any) -> None:
    queue = open_backend().queue  # entries of a server that has just started are not judged
    wait_until(lambda: queue.server()[1] >= HEARTBEAT_MISSED.total_seconds(), seconds=60, what="heartbeats")
    redis_client.delete("rq:queue:analyses")
    repairs = json.loads(call("reconcile", "--once", "--json").stdout)
    assert [item["job_id"] for item in repairs] == [job_id]
    assert redis_client.lrange("rq:queue:analyses", 0, -1) == [job_id]
    service.delete(job_id)


def test_stats_show_usage_and_health(redis_client: Any) -> None:
    seen = read("stats")
    assert seen["usage"]["jobs_in_queue"] == 0
    assert seen["health"]["redis"] == "connected"
    assert "No worker" in call("stats").stdout


def test_errors_go_to_standard_error_with_their_status() -> None:
    assert call("list", status=1, REDIS_URL="redis://127.0.0.1:1/0").stdout == ""
    assert "API_PORT" in call("stats", status=2, API_PORT="x").stderr
    call("reconcile", status=2)
    call("frobnicate", status=2)

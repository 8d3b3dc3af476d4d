"""Jobs over real HTTP: states and state changes."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from tests.support.processes import DATA_DIR
from tests.support.rest_client import job_folders, post, save


def test_status_has_one_schema_for_each_state(api: httpx.Client, redis_client: Any) -> None:
    queued = api.get(f"/status/{save(redis_client, {'status': 'queued'})}").json()
    assert queued["status"] == "queued"
    assert queued["queue_position"] >= 1
    assert "estimated_wait_seconds" in queued

    processing = {"status": "processing", "progress_percent": 50, "current_step": 2, "total_steps": 4}
    processing |= {"step_name": "Processing image", "started_at": now().replace(tzinfo=None).isoformat()}
    body = api.get(f"/status/{save(redis_client, processing)}").json()
    assert {name: body[name] for name in ("progress_percent", "current_step", "total_steps", "step_name")} == {
        "progress_percent": 50,
        "current_step": 2,
        "total_steps": 4,
        "step_name": "Processing image",
    }
    assert 0 <= body["elapsed_seconds"] < 5, "a naive time is UTC"
    assert body["estimated_remaining_seconds"] > 0

    failed = {"status": "error", "error_message": "Segmentation failed", "error_code": "PIPELINE_ERROR"}
    body = api.get(f"/status/{save(redis_client, failed)}").json()
    assert (body["status"], body["error_message"], body["error_code"]) == (
        "error",
        "Segmentation failed",
        "PIPELINE_ERROR",
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/status/{id}"),
        ("GET", "/download/{id}"),
        ("GET", "/jobs/{id}/measurements"),
        ("GET", "/jobs/{id}/artifacts/results.csv"),
        ("DELETE", "/jobs/{id}"),
        ("POST", "/jobs/{id}/cancel"),
        ("POST", "/jobs/{id}/retry"),
        ("POST", "/jobs/{id}/copy"),
    ],
)
@pytest.mark.parametrize("job_id", ["nonexistent-job-id", "%2e%2e", "..%00", "a" * 300])
def test_an_unknown_job_is_404(api: httpx.Client, method: str, path: str, job_id: str) -> None:
    response = api.request(method, path.format(id=job_id))
    assert response.status_code == 404
    assert "detail" in response.json()


def test_a_queued_job_is_cancelled_and_leaves_the_queue(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    job_id = post(api, nifti).json()["job_id"]
    response = api.post(f"/jobs/{job_id}/cancel")
    assert response.status_code == 202
    assert response.json()["error_code"] == "CANCELLED"
    assert redis_client.llen("rq:queue:analyses") == 0
    assert api.post(f"/jobs/{job_id}/cancel").status_code == 409
    assert not (DATA_DIR / "jobs" / job_id / "input").exists()


def test_a_deleted_job_leaves_no_data(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    job_id = post(api, nifti).json()["job_id"]
    assert api.delete(f"/jobs/{job_id}").status_code == 204
    assert api.get(f"/status/{job_id}").status_code == 404
    assert job_id not in job_folders()
    assert redis_client.llen("rq:queue:analyses") == redis_client.hlen("jobs") == 0
    assert not list(redis_client.scan_iter(f"*{job_id}*"))


def test_a_record_without_an_end_time_is_served_unchanged(api: httpx.Client, redis_client: Any) -> None:
    job_id = save(redis_client, {"status": "complete", "completed_at": None, "future_field": {"kept": []}})
    assert api.get(f"/status/{job_id}").json()["processing_time_seconds"] == 0
    record = JobRecord.from_json(redis_client.hget("jobs", job_id))
    assert record.status is Status.COMPLETE
    assert json.loads(record.to_json())["future_field"] == {"kept": []}

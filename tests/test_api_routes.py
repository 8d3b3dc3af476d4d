"""The REST contract over real HTTP: routes, fields, status codes."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import SimpleITK
from conftest import DATA_DIR, free_port, running, wait_until

from jobs.model import JobRecord, Status, now


@pytest.fixture
def nifti(tmp_path: Path) -> bytes:
    """The smallest readable image: 16 x 16 x 16 zeros."""
    path = tmp_path / "test.nii.gz"
    SimpleITK.WriteImage(SimpleITK.Image([16, 16, 16], SimpleITK.sitkInt16), str(path))
    return path.read_bytes()


def post(
    api: httpx.Client, content: bytes, name: str = "test.nii.gz", data: dict[str, str] | None = None
) -> httpx.Response:
    return api.post("/upload", files={"file": (name, content, "application/octet-stream")}, data=data or {})


def save(redis_client: Any, record: dict[str, Any]) -> str:
    """A record as the specification's own program writes it: without a queue entry."""
    record = {"id": str(uuid.uuid4()), "input_filename": "patient_scan.nii.gz", "options": {}} | record
    redis_client.hset("jobs", record["id"], json.dumps(record))
    return str(record["id"])


def job_folders() -> set[str]:
    folder = DATA_DIR / "jobs"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_an_upload_is_queued(api: httpx.Client, nifti: bytes) -> None:
    response = post(api, nifti, data={"segmentation_model": "nnunet_fullres"})
    assert response.status_code == 201, response.text
    body = response.json()
    assert set(body) == {"job_id", "status", "queue_position", "estimated_wait_seconds", "message"}
    assert (body["status"], body["queue_position"]) == ("queued", 1)
    assert "#1 in queue" in body["message"]
    assert post(api, nifti).json()["queue_position"] == 2


def test_an_upload_writes_the_record_of_the_contract(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    options = {
        "email": "user@example.com",
        "segmentation_model": "nnunet_cascade",
        "perform_nsm": "true",
        "nsm_type": "bone_only",
        "retain_results": "false",
        "cartilage_smoothing": "0.5",
        "side": "left",
    }
    job_id = post(api, nifti, data=options).json()["job_id"]
    record = json.loads(redis_client.hget("jobs", job_id))
    assert record["id"] == job_id
    assert record["status"] == "queued"
    assert record["email"] == "user@example.com"
    assert record["input_filename"] == "test.nii.gz"
    assert record["retain_for_research"] is False
    assert record["options"] == {
        "segmentation_model": "nnunet_cascade",
        "perform_nsm": True,
        "nsm_type": "bone_only",
        "retain_results": False,
        "cartilage_smoothing": 0.5,
        "side": "left",
        "skip_first_echo": False,
    }
    assert record["created_at"].endswith("+00:00")
    assert redis_client.lrange("rq:queue:analyses", 0, -1) == [job_id]


def test_options_left_out_take_the_specified_defaults(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    job_id = post(api, nifti).json()["job_id"]
    options = json.loads(redis_client.hget("jobs", job_id))["options"]
    assert options["segmentation_model"] == "nnunet_fullres"
    assert options["perform_nsm"] is True
    assert options["nsm_type"] == "bone_and_cart"
    assert options["retain_results"] is True
    assert options["cartilage_smoothing"] == 0.3125


def test_a_zip_with_one_image_is_accepted(api: httpx.Client, nifti: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("patient/scan.nii.gz", nifti)
    assert post(api, buffer.getvalue(), "patient_data.zip").status_code == 201


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("test.txt", b"not a medical image", "INVALID_UPLOAD"),
        ("noextension", b"x", "INVALID_UPLOAD"),
        ("test.nii.gz", b"", "INVALID_UPLOAD"),
        ("test.nii.gz", b"this is no gzip stream", "UNREADABLE_IMAGE"),
        ("test.zip", b"PK\x03\x04 broken", None),
        ("test.dcm", b"\x00" * 2000, None),
    ],
)
def test_bad_content_is_refused_and_leaves_nothing(
    api: httpx.Client, redis_client: Any, name: str, content: bytes, code: str | None
) -> None:
    before = job_folders()
    response = post(api, content, name)
    assert response.status_code == 400
    body = response.json()
    assert set(body) == {"detail", "error_code", "hint"}
    assert body["error_code"] == (code or body["error_code"]) != ""
    assert str(DATA_DIR) not in response.text
    assert job_folders() == before
    assert redis_client.hlen("jobs") == 0


def test_a_wrong_extension_is_called_invalid(api: httpx.Client) -> None:
    detail = post(api, b"not a medical image", "test.txt").json()["detail"]
    assert "invalid" in detail.lower()
    assert ".nii.gz" in detail


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cartilage_smoothing", "5"),
        ("cartilage_smoothing", "nan"),
        ("cartilage_smoothing", "thick"),
        ("perform_nsm", "perhaps"),
        ("nsm_type", "cartilage"),
        ("segmentation_model", "../../etc/passwd"),
        ("side", "both"),
        ("email", "nobody"),
    ],
)
def test_form_values_outside_their_bounds_are_422_in_fastapis_shape(
    api: httpx.Client, nifti: bytes, field: str, value: str
) -> None:
    before = job_folders()
    response = post(api, nifti, data={field: value})
    assert response.status_code == 422
    assert [item["loc"] for item in response.json()["detail"]] == [["body", field]]
    assert job_folders() == before


def test_form_values_after_the_file_are_checked_as_well(api: httpx.Client, nifti: bytes) -> None:
    before = job_folders()
    boundary = "knee"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'.encode()
        + nifti
        + f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="side"\r\n\r\nboth\r\n--{boundary}--\r\n'.encode()
    )
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    assert api.post("/upload", content=body, headers=headers).status_code == 422
    assert job_folders() == before


def test_a_form_without_a_file_is_422(api: httpx.Client) -> None:
    for response in (api.post("/upload", data={"side": "left"}), api.post("/upload"), api.post("/upload", json={})):
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["body", "file"]


def test_a_form_that_breaks_off_is_400_and_leaves_nothing(api: httpx.Client, nifti: bytes) -> None:
    before = job_folders()
    head = b'--knee\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=knee"}
    response = api.post("/upload", content=head + nifti[:100], headers=headers)
    assert response.status_code == 400
    assert job_folders() == before


def test_an_announced_size_over_the_limit_is_refused_before_it_is_sent(server: str, api: httpx.Client) -> None:
    head = (
        "POST /upload HTTP/1.1\r\nHost: knee\r\nContent-Type: multipart/form-data; boundary=knee\r\n"
        f"Content-Length: {601 * 1024 * 1024}\r\n\r\n"
    )
    begun = time.monotonic()
    with socket.create_connection((api.base_url.host, api.base_url.port or 0), timeout=10) as connection:
        connection.sendall(head.encode() + b"--knee\r\n")
        answer = connection.recv(65536)
        while b"\r\n\r\n{" not in answer:
            answer += connection.recv(65536)
        assert time.monotonic() - begun < 1
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"UPLOAD_TOO_LARGE" in answer
        assert send_until_refused(connection) < 16 * 1024 * 1024, "the server stops reading"


def send_until_refused(connection: socket.socket) -> int:
    """-> bytes that went out before the server closed; at most 64 MB are tried."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 64 * 1024 * 1024:
            sent += connection.send(b"\x00" * 65536)
    return sent


@contextlib.contextmanager
def own_server(**environment: str) -> Iterator[str]:
    """A REST server with settings of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "rest"]
    with running(command, DATA_DIR / "own.log", API_PORT=str(port), **environment):
        wait_until(lambda: answers(f"{url}/openapi.json"), what="the server")
        yield url


def test_limits_and_keys_of_the_environment_hold(redis_client: Any) -> None:
    before = job_folders()
    head = b'--knee\r\nContent-Disposition: form-data; name="file"; filename="a.nii"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=knee", "x-api-key": "second"}
    with own_server(MAX_UPLOAD_SIZE_MB="1", API_KEYS="first, second") as url:
        pieces = iter([head, b"\x00" * 1_500_000])  # sent in chunks: no length is announced
        assert httpx.post(f"{url}/upload", content=pieces, headers=headers, timeout=10).status_code == 413
        assert httpx.get(f"{url}/stats").status_code == 401
        assert httpx.get(f"{url}/stats", headers={"x-api-key": "third"}).status_code == 401
        assert httpx.get(f"{url}/stats", headers={"x-api-key": "first"}).status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200
    assert job_folders() == before


def test_without_redis_every_answer_comes_soon_and_is_503(nifti: bytes) -> None:
    before = job_folders()
    with own_server(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as url, httpx.Client(base_url=url) as client:
        begun = time.monotonic()
        for response in (client.get("/status/some-job"), client.get("/stats"), post(client, nifti)):
            assert response.status_code == 503
            assert response.json()["error_code"] == "QUEUE_UNAVAILABLE"
        health = client.get("/health")
        assert time.monotonic() - begun < 5
    assert (health.status_code, health.json()["redis"]) == (503, "unavailable")
    assert job_folders() == before


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


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


def complete(redis_client: Any, path: Path, **fields: Any) -> str:
    times = {"started_at": "2026-01-02T03:04:05", "completed_at": "2026-01-02T03:07:05"}
    return save(
        redis_client, {"status": "complete", "result_path": str(path), "result_size_bytes": 7, **times, **fields}
    )


def test_a_complete_job_is_downloaded_under_the_name_of_its_input(api: httpx.Client, redis_client: Any) -> None:
    path = DATA_DIR / "results.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("results.json", "{}")
    job_id = complete(redis_client, path)
    body = api.get(f"/status/{job_id}").json()
    assert body["download_url"] == f"/download/{job_id}"
    assert body["processing_time_seconds"] == 180
    assert body["result_size_bytes"] == 7
    response = api.get(body["download_url"])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    assert 'filename="patient_scan_results.zip"' in response.headers["content-disposition"]
    assert response.content == path.read_bytes()


def test_no_file_outside_the_data_directory_is_served(api: httpx.Client, redis_client: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.zip"
    secret.write_bytes(b"secret")
    link = DATA_DIR / "link.zip"
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    for path in (secret, link, DATA_DIR / ".." / secret.relative_to(secret.anchor), Path("/nonexistent/results.zip")):
        response = api.get(f"/download/{complete(redis_client, path)}")
        assert response.status_code == 404
        assert b"secret" not in response.content


@pytest.mark.parametrize("status", ["queued", "processing", "error"])
def test_a_download_before_the_end_is_400(api: httpx.Client, redis_client: Any, status: str) -> None:
    response = api.get(f"/download/{save(redis_client, {'status': status})}")
    assert response.status_code == 400
    assert "not complete" in response.json()["detail"].lower()


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
    ],
)
@pytest.mark.parametrize("job_id", ["nonexistent-job-id", "%2e%2e", "..%00", "a" * 300])
def test_an_unknown_job_is_404(api: httpx.Client, method: str, path: str, job_id: str) -> None:
    response = api.request(method, path.format(id=job_id))
    assert response.status_code == 404
    assert "detail" in response.json()


def test_statistics_have_the_specified_fields_and_types(api: httpx.Client, nifti: bytes) -> None:
    post(api, nifti, data={"email": "One@Example.com "})
    post(api, nifti, data={"email": "one@example.com"})
    body = api.get("/stats").json()
    whole = ("total_jobs_processed", "total_jobs_today", "unique_users", "average_processing_time_seconds")
    assert all(type(body[name]) is int for name in (*whole, "jobs_in_queue"))
    assert isinstance(body["uptime_hours"], (int, float))
    assert (body["unique_users"], body["jobs_in_queue"]) == (1, 2)


def test_a_queued_job_is_cancelled_and_leaves_the_queue(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    job_id = post(api, nifti).json()["job_id"]
    response = api.post(f"/jobs/{job_id}/cancel")
    assert response.status_code == 202
    assert response.json()["error_code"] == "CANCELLED"
    assert redis_client.llen("rq:queue:analyses") == 0
    assert api.post(f"/jobs/{job_id}/cancel").status_code == 409
    assert not (DATA_DIR / "jobs" / job_id / "input").exists()


def test_a_deleted_job_leaves_nothing(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    job_id = post(api, nifti).json()["job_id"]
    assert api.delete(f"/jobs/{job_id}").status_code == 204
    assert api.get(f"/status/{job_id}").status_code == 404
    assert job_id not in job_folders()
    assert redis_client.llen("rq:queue:analyses") == redis_client.hlen("jobs") == 0
    assert not list(redis_client.scan_iter(f"*{job_id}*"))


def test_a_page_of_another_site_changes_nothing(api: httpx.Client, nifti: bytes) -> None:
    job_id = post(api, nifti).json()["job_id"]
    foreign = {"origin": "https://elsewhere.example"}
    assert api.delete(f"/jobs/{job_id}", headers=foreign).status_code == 403
    assert api.post("/upload", headers=foreign).status_code == 403
    own = {"origin": str(api.base_url).rstrip("/")}
    assert api.delete(f"/jobs/{job_id}", headers=own).status_code == 204


def test_health_names_what_is_there(api: httpx.Client) -> None:
    response = api.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert body["redis"] == "connected"
    assert body["disk_free_bytes"] > 0
    assert set(body["weights"]) == {"nnunet_fullres", "nnunet_cascade"}


def test_models_are_described_by_their_cards(api: httpx.Client) -> None:
    models = api.get("/models").json()
    assert [model["id"] for model in models] == ["nnunet_fullres", "nnunet_cascade"]
    for model in models:
        assert {"title", "available", "structures", "sequences", "licence", "citation", "weights_sha256"} <= set(model)


def test_the_openapi_document_names_every_route_and_form_field(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    routes = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert routes == {
        ("/upload", "post"),
        ("/status/{job_id}", "get"),
        ("/download/{job_id}", "get"),
        ("/stats", "get"),
        ("/health", "get"),
        ("/models", "get"),
        ("/jobs/{job_id}", "delete"),
        ("/jobs/{job_id}/cancel", "post"),
        ("/jobs/{job_id}/retry", "post"),
        ("/jobs/{job_id}/measurements", "get"),
        ("/jobs/{job_id}/artifacts/{name}", "get"),
    }
    form = document["paths"]["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"file", "email", "segmentation_model", "cartilage_smoothing", "side"} <= set(form["properties"])
    assert api.get("/docs").status_code == 200


def test_artifacts_answer_ranges_and_stay_inside_the_results(api: httpx.Client, redis_client: Any) -> None:
    job_id = complete(redis_client, DATA_DIR / "results.zip")
    files = DATA_DIR / "jobs" / job_id / "results" / "files"
    (files / "surfaces").mkdir(parents=True)
    content = np.random.default_rng(1).bytes(3_000_000)
    (files / "surfaces" / "femur.ply").write_bytes(content)
    (files.parent / "manifest.json").write_text("{}")
    url = f"/jobs/{job_id}/artifacts"
    assert api.get(f"{url}/surfaces/femur.ply").content == content  # compressed on the way
    part = api.get(f"{url}/surfaces/femur.ply", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    for name in ("../manifest.json", "%2e%2e/manifest.json", "surfaces", "/etc/passwd", "surfaces/../../manifest.json"):
        assert api.get(f"{url}/{name}").status_code == 404


def test_a_record_without_an_end_time_is_served_as_it_stands(api: httpx.Client, redis_client: Any) -> None:
    job_id = save(redis_client, {"status": "complete", "completed_at": None, "future_field": {"kept": []}})
    assert api.get(f"/status/{job_id}").json()["processing_time_seconds"] == 0
    record = JobRecord.from_json(redis_client.hget("jobs", job_id))
    assert record.status is Status.COMPLETE
    assert json.loads(record.to_json())["future_field"] == {"kept": []}

"""Results over real HTTP: the zip, single files, ranges."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import DATA_DIR
from rest_client import complete, save


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

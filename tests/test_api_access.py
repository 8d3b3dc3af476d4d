"""Who may ask: keys, origins, hosts."""

from __future__ import annotations

from typing import Any

import httpx
from rest_client import job_folders, own_server, post


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


def test_a_page_of_another_site_changes_nothing(api: httpx.Client, nifti: bytes) -> None:
    job_id = post(api, nifti).json()["job_id"]
    foreign = {"origin": "https://elsewhere.example"}
    assert api.delete(f"/jobs/{job_id}", headers=foreign).status_code == 403
    assert api.post("/upload", headers=foreign).status_code == 403
    own = {"origin": str(api.base_url).rstrip("/")}
    assert api.delete(f"/jobs/{job_id}", headers=own).status_code == 204

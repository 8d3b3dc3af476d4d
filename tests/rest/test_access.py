"""Access control: keys, origins, hosts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from jobs.settings import ACCESS_COOKIE
from rest.clients import WRONG_KEYS, WRONG_KEYS_WINDOW_S
from tests.support.rest_client import job_folders, own_server, post


@pytest.mark.slow
def test_limits_and_keys_of_the_environment_are_enforced(redis_client: Any) -> None:
    before = job_folders()
    head = b'--knee\r\nContent-Disposition: form-data; name="file"; filename="a.nii"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=knee", "x-api-key": "second"}
    with own_server(MAX_UPLOAD_SIZE_MB="1", API_KEYS="first, second") as url:
        pieces = iter([head, b"\x00" * 1_500_000])  # sent in chunks: no length is announced
        assert httpx.post(f"{url}/upload", content=pieces, headers=headers, timeout=10).status_code == 413
        assert httpx.get(f"{url}/stats").status_code == 401
        assert httpx.get(f"{url}/metrics").status_code == 401
        bearer = {"authorization": "Bearer first"}  # as Prometheus sends it
        assert httpx.get(f"{url}/metrics", headers=bearer).status_code == 200
        assert httpx.get(f"{url}/stats", headers={"x-api-key": "third"}).status_code == 401
        assert httpx.get(f"{url}/stats", headers={"x-api-key": "first"}).status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200
    assert job_folders() == before


def test_a_page_of_another_site_cannot_change_anything(api: httpx.Client, nifti: bytes) -> None:
    job_id = post(api, nifti).json()["job_id"]
    foreign = {"origin": "https://elsewhere.example"}
    assert api.delete(f"/jobs/{job_id}", headers=foreign).status_code == 403
    assert api.post("/upload", headers=foreign).status_code == 403
    own = {"origin": str(api.base_url).rstrip("/")}
    assert api.delete(f"/jobs/{job_id}", headers=own).status_code == 204


FOREIGN = (
    {"origin": "https://elsewhere.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"referer": "https://elsewhere.example/page"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_every_sign_of_another_site_blocks_a_change(api: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in (("DELETE", "/jobs/none"), ("POST", "/jobs/none/cancel"), ("POST", "/upload")):
        answer = api.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "CROSS_SITE")
    link = "origin" not in headers  # a browser names no origin when it follows a link
    assert api.get("/stats", headers=headers).status_code == (200 if link else 403)


@pytest.mark.parametrize(
    "host",
    ["elsewhere.example", "127.0.0.1.elsewhere.example", "192.0.2.1", "[", "localhost.evil", "workstation:8000", ""],
)
def test_a_foreign_host_name_is_rejected_for_reading_as_well(api: httpx.Client, host: str) -> None:
    answer = api.get("/stats", headers={"host": host})
    assert (answer.status_code, answer.json()["error_code"]) == (403, "UNKNOWN_HOST")
    assert "ALLOWED_HOSTS" in answer.json()["hint"]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_the_names_of_this_machine_are_accepted(api: httpx.Client, host: str) -> None:
    assert api.get("/stats", headers={"host": host}).status_code == 200


@pytest.fixture(scope="module")
def keyed(valkey: str) -> Iterator[str]:
    """A server with keys and a name."""
    environment = {"API_KEYS": "first, second", "ALLOWED_HOSTS": "knee.example, other.example"}
    with own_server(**environment) as url:
        yield url


def visitor(url: str, number: int) -> httpx.Client:
    """A client with a separate address: 127.0.0.NUMBER."""
    return httpx.Client(base_url=url, transport=httpx.HTTPTransport(local_address=f"127.0.0.{number}"))


@pytest.mark.slow
def test_keys_are_required_on_every_route_except_health_and_documents(keyed: str) -> None:
    opened = {("get", "/health"): 200, ("get", "/live"): 200, ("delete", "/access"): 204}
    with httpx.Client(base_url=keyed) as client:
        document = client.get("/openapi.json").json()
        for path, methods in document["paths"].items():
            for method in methods:
                answer = client.request(method, path.replace("{name}", "health"))
                assert answer.status_code == opened.get((method, path), 401), (method, path)
        for path in ("/jobs/x/artifacts/docs", "/status/health", "/health/", "//health", "/x/../stats", "/nothing"):
            assert client.get(path).status_code == 401, path
        assert client.get("/docs").status_code == 200
        assert client.get("/stats", headers={"authorization": "Bearer second"}).status_code == 200
        assert client.get("/stats", headers={"x-api-key": "first", "host": "knee.example"}).status_code == 200
        foreign = client.get("/stats", headers={"x-api-key": "first", "host": "elsewhere.example"})
        assert (foreign.status_code, foreign.json()["error_code"]) == (403, "UNKNOWN_HOST")
        for wrong in ({"x-api-key": "first, second"}, {"x-api-key": ""}, {"authorization": "Basic second"}):
            assert client.get("/stats", headers=wrong).status_code == 401


@pytest.mark.slow
def test_wrong_keys_are_counted_per_client_on_every_route_and_never_delay_others(keyed: str) -> None:
    right, wrong = {"x-api-key": "first"}, {"x-api-key": "guess"}
    with visitor(keyed, 2) as guessing, visitor(keyed, 3) as other:
        assert guessing.get("/stats", headers=right).status_code == 200
        begun = time.monotonic()
        answers = [guessing.post("/access", headers=wrong) for _ in range(WRONG_KEYS // 2)]
        answers += [guessing.get("/stats", headers=wrong) for _ in range(WRONG_KEYS)]
        assert time.monotonic() - begun < 5
        statuses = [answer.status_code for answer in answers]
        assert statuses == [401] * WRONG_KEYS + [429] * (WRONG_KEYS // 2)
        assert 0 < int(answers[-1].headers["retry-after"]) <= WRONG_KEYS_WINDOW_S
        assert guessing.post("/access", headers={"x-api-key": "second"}).status_code == 429, "a right guess too"
        assert guessing.get("/stats", headers=right).status_code == 200, "a key that was right before remains valid"
        assert other.post("/access", headers=right).status_code == 204


@pytest.mark.slow
def test_a_key_gives_a_cookie_that_ends_when_it_is_given_back(keyed: str) -> None:
    with visitor(keyed, 4) as client:
        answer = client.post("/access", headers={"x-api-key": "second"})
        cookie = answer.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict"))
        assert 0 < int(cookie.split("max-age=")[1].split(";")[0]) < 30 * 86_400
        assert client.delete("/access").status_code == 204
        assert client.cookies.get(ACCESS_COOKIE) is None


def test_without_keys_there_is_nothing_to_guess(api: httpx.Client) -> None:
    for _ in range(2 * WRONG_KEYS):
        answer = api.post("/access", headers={"x-api-key": "guess"})
        assert answer.status_code == 204
        assert "set-cookie" not in answer.headers

"""Unusual requests get proper responses: methods, paths, headers, invalid bodies."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.support.rest_client import exchange, own_server, save


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/status/", 404, "NOT_FOUND"),
        ("GET", "/%00", 404, "NOT_FOUND"),
        ("GET", "/docs/assets/nothing.js", 404, "NOT_FOUND"),
        ("PUT", "/docs/assets/docs.js", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/status/%00%ff", 404, "JOB_NOT_FOUND"),
        ("GET", "/status/" + "a" * 10_000, 404, "JOB_NOT_FOUND"),
        ("PUT", "/stats", 405, "METHOD_NOT_ALLOWED"),
        ("TRACE", "/upload", 405, "METHOD_NOT_ALLOWED"),
        ("BREW", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/upload", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_every_error_has_the_common_format(api: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    answer = api.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail", "error_code", "hint"}
    assert answer.json()["error_code"] == code
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
    ids=["long path", "many headers", "control character", "TLS", "negative length", "two lengths"],
)
def test_invalid_http_is_400_and_closes_the_connection(server: str, request_: bytes) -> None:
    answer = exchange(server, request_)
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error_code"] == "BAD_REQUEST"


def test_head_answers_as_get_does_without_the_body(api: httpx.Client) -> None:
    for path in ("/health", "/stats", "/models", "/docs", "/openapi.json", "/nothing"):
        head, get = api.head(path), api.get(path)
        assert head.content == b""
        assert head.status_code == get.status_code
        assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"cartilage_smoothing": NaN}',
        b'{"side": "\\ud800"}',
        b'{"side": "' + b"x" * 5000 + b'"}',
        b"[1, 2]",
        b'"text"',
        b"{",
        b"[" * 20_000,
        b'{"cartilage_smoothing": ' + b"1" * 5000 + b"}",
        b"\xff\xfe",
    ],
    ids=["NaN", "surrogate", "long", "list", "text", "broken", "deep", "huge number", "no UTF-8"],
)
def test_a_body_that_is_not_a_set_of_options_is_rejected(api: httpx.Client, redis_client: Any, body: bytes) -> None:
    job_id = save(redis_client, {"status": "error"})
    answer = api.post(f"/jobs/{job_id}/retry", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert len(answer.content) < 2000


def test_a_body_that_is_too_large_is_rejected_unread(api: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = api.post("/jobs/none/retry", content=b" " * 100_000, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "BODY_TOO_LARGE")
    answer = api.post("/jobs/none/retry", content=iter([b" " * 50_000] * 4), headers=headers)
    assert answer.status_code == 400


def test_every_response_but_the_interactive_page_forbids_scripts(api: httpx.Client) -> None:
    for path in ("/health", "/openapi.json", "/nothing", "/status/none"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        assert "script" not in headers["content-security-policy"]


def test_the_page_of_the_interface_runs_scripts_of_this_server_only(api: httpx.Client) -> None:
    page = api.get("/docs")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == ["", ""], "no script is inline"


def test_everything_that_the_page_loads_is_served_and_needs_no_key() -> None:
    with own_server(API_KEYS="first") as url, httpx.Client(base_url=url) as client:
        loaded = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs").text)
        assert len(loaded) == 5
        assert [client.get(f"/{path}").status_code for path in loaded] == [200] * 5
        assert client.get("/docs/assets/style.css").status_code == 401

"""Unusual requests get proper responses: methods, paths, headers, invalid bodies."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.rest_client import exchange, save


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/status/", 404, "NOT_FOUND"),
        ("GET", "/%00", 404, "NOT_FOUND"),
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


def test_every_response_has_security_headers(api: httpx.Client) -> None:
    for path in ("/health", "/docs", "/nothing", "/status/none"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        assert "script" not in headers["content-security-policy"]


def test_the_page_of_the_interface_needs_no_other_server(api: httpx.Client) -> None:
    page = api.get("/docs").text
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    for path in api.get("/openapi.json").json()["paths"]:
        assert path in page

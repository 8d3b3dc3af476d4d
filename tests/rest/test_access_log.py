"""The lines about requests, on both ports: what they contain, and what they must not."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from jobs.logs import ACCESS, FIELDS
from rest.access_log import UNKNOWN, AccessLog, named_by_pages, named_by_routes
from rest.guard import route_path
from rest.page_door import path_below
from rest.page_routes import page_routes

JOB = "0b5f0f0e-8d5c-4a51-9d46-3a3a6a0f7c11"


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_text("12345")
        await websocket.close()
        return
    await send({"type": "http.response.start", "status": 206, "headers": []})
    await send({"type": "http.response.body", "body": b"123", "more_body": True})
    await send({"type": "http.response.body", "body": b"4567"})


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Returns the fields of the last line."""
    caplog.set_level(logging.INFO, ACCESS)
    return lambda: getattr(caplog.records[-1], FIELDS)


def test_a_request_of_the_interface_is_logged_without_secrets(lines: Any, caplog: pytest.LogCaptureFixture) -> None:
    from api import app

    client = TestClient(AccessLog(behind, named_by_routes(app.routes, route_path)), client=("192.0.2.7", 1))
    client.get(f"/status/{JOB}?api_key=secret", headers={"x-api-key": "secret"})
    assert lines() | {"ms": 0} == {
        "client": "192.0.2.7",
        "method": "GET",
        "path": f"/status/{JOB}",
        "status": 206,
        "bytes": 7,
        "ms": 0,
    }
    for path, logged in (
        (f"/jobs/{JOB}/artifacts/secret.nii.gz", f"/jobs/{JOB}/artifacts/{{name}}"),
        ("/status/secret", "/status/{job_id}"),
        ("/secret", UNKNOWN),
        ("/docs/assets/secret.js", "/docs/assets"),
        (f"/compare/{JOB}/{JOB}", f"/compare/{JOB}/{JOB}"),
        ("/metrics", "/metrics"),
    ):
        client.head(path)
        assert (lines()["path"], lines()["method"]) == (logged, "HEAD")
    assert "secret" not in caplog.text


def test_a_request_of_the_pages_is_logged_once(lines: Any, caplog: pytest.LogCaptureFixture) -> None:
    name_of = named_by_pages(page_routes(["jobs"]), "/api", partial(path_below, "/knee"))
    client = TestClient(AccessLog(behind, name_of))
    for path, logged in (("/knee/jobs?job=1", "/jobs"), ("/media/secret.png", "/media/"), ("/secret", UNKNOWN)):
        client.get(path)
        assert lines()["path"] == logged
    before = len(caplog.records)
    client.get("/knee/api/status/1")
    assert len(caplog.records) == before, "the interface logs it itself"
    with client.websocket_connect("/_stcore/stream") as opened:
        assert opened.receive_text() == "12345"
    assert (lines()["method"], lines()["path"], lines()["status"], lines()["bytes"]) == (
        "websocket",
        "/_stcore/stream",
        101,
        5,
    )
    assert "secret" not in caplog.text


def test_every_route_of_the_interface_has_a_name() -> None:
    from api import app

    name_of = named_by_routes(app.routes, route_path)
    for path in app.openapi()["paths"]:
        assert name_of({"path": path.replace("{", "").replace("}", ""), "type": "http"}) == path

"""The private parts of uvicorn and Starlette that the product relies on still exist and behave the same. After an
update of either library a failure here says what rest/uvicorn_adapter.py or rest/starlette_adapter.py has to follow.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h11
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import CLOSE_HEADER, H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets import websockets_sansio_impl

from rest.starlette_adapter import RangedFile
from rest.uvicorn_adapter import CLOSE, UNFINISHED


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("connection_made", ["self", "transport"]),
        ("connection_lost", ["self", "exc"]),
        ("data_received", ["self", "data"]),
        ("handle_websocket_upgrade", ["self", "event"]),
        ("resume_writing", ["self"]),
        ("on_response_complete", ["self"]),
        ("send_400_response", ["self", "msg"]),
    ],
)
def test_uvicorn_has_the_methods_that_the_adapter_overrides(method: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(H11Protocol, method)).parameters) == parameters


def test_uvicorn_has_the_attributes_that_the_adapter_reads() -> None:
    protocol = inspect.getsource(H11Protocol)
    for name in ("loop", "transport", "connections", "conn", "cycle", "flow", "scheme", "client"):
        assert f"self.{name}" in protocol, name
    cycle = inspect.getsource(RequestResponseCycle)
    for name in ("body", "more_body", "response_complete", "scope"):
        assert f"self.{name}" in cycle, name
    assert callable(FlowControl.pause_reading)
    assert "read_paused" in inspect.getsource(FlowControl)
    assert h11.IDLE is not h11.SEND_RESPONSE


def test_uvicorn_logs_the_line_that_is_left_out() -> None:
    assert UNFINISHED in inspect.getsource(websockets_sansio_impl)


def test_uvicorn_closes_the_connection_when_the_request_asks_for_it() -> None:
    """take_socket() adds this header to the request's scope while the request is answered."""
    source = inspect.getsource(RequestResponseCycle.send)
    assert CLOSE_HEADER == CLOSE
    assert 'CLOSE_HEADER in self.scope["headers"]' in source


async def ask(path: Path, ranges: str) -> httpx.Response:
    def file(_: Request) -> Response:
        return RangedFile(path)

    app = Starlette(routes=[Route("/", file)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        return await client.get("/", headers={"range": ranges})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file.bin"
    file.write_bytes(b"0123456789")
    return file


def test_starlette_calls_the_parser_that_the_adapter_overrides() -> None:
    assert list(inspect.signature(FileResponse._parse_range_header).parameters) == ["http_range", "file_size"]
    assert "_parse_range_header" in inspect.getsource(FileResponse.__call__)


def answer_of(request: Coroutine[None, None, httpx.Response]) -> httpx.Response:
    """Run in a separate thread: a browser test in the same process leaves an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, request).result()


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=-2", 206, b"89"),
        ("lines=1-2", 200, b"0123456789"),
        ("bytes=x-y", 200, b"0123456789"),
    ],
)
def test_ranges_are_answered_and_malformed_ones_ignored(path: Path, asked: str, status: int, body: bytes) -> None:
    answer = answer_of(ask(path, asked))
    assert (answer.status_code, answer.content) == (status, body)


def test_a_range_beyond_the_file_is_refused_with_the_files_size(path: Path) -> None:
    answer = answer_of(ask(path, "bytes=50-60"))
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")

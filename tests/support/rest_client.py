"""Shared parts of the REST tests: requests, records, a server with separate settings."""

from __future__ import annotations

import contextlib
import itertools
import json
import shlex
import socket
import sys
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import httpx

from tests.support.processes import DATA_DIR, free_port, running, wait_until

_clients = itertools.count()


def post(
    api: httpx.Client, content: bytes, name: str = "test.nii.gz", data: dict[str, str] | None = None
) -> httpx.Response:
    """Upload a file as another client than the last one: on a slow machine, the checks of all tests would exceed the
    time that those of one client may take.
    """
    high, low = divmod(next(_clients), 250)
    local = f"127.1.{high}.{low + 1}" if sys.platform == "linux" else None
    transport = httpx.HTTPTransport(local_address=local)
    with httpx.Client(base_url=api.base_url, headers=api.headers, timeout=api.timeout, transport=transport) as client:
        return client.post("/upload", files={"file": (name, content, "application/octet-stream")}, data=data or {})


def save(redis_client: Any, record: dict[str, Any]) -> str:
    """Save a record as the program of the specification does: without a queue entry."""
    record = {"id": str(uuid.uuid4()), "input_filename": "patient_scan.nii.gz", "options": {}} | record
    redis_client.hset("jobs", record["id"], json.dumps(record))
    return str(record["id"])


def complete(redis_client: Any, path: str, **fields: Any) -> str:
    times = {"started_at": "2026-01-02T03:04:05", "completed_at": "2026-01-02T03:07:05"}
    return save(redis_client, {"status": "complete", "result_path": path, "result_size_bytes": 7, **times, **fields})


def job_folders() -> set[str]:
    """Folders of jobs and of uploads in progress."""
    return {path.name for kind in ("jobs", "incoming") for path in (DATA_DIR / kind).glob("*")}


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urlopen(url, timeout=5) as answer:  # noqa: S310 -- our address
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def own_server(limit: str = "", **environment: str) -> Iterator[str]:
    """A REST server with separate settings; `limit`: a ulimit command for its shell."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["sh", "-c", f"{limit or ':'}; exec {shlex.quote(sys.executable)} -m rest"]
    with running(command, DATA_DIR / "own.log", API_PORT=str(port), **environment):
        wait_until(lambda: answers(f"{url}/openapi.json"), seconds=90, what="the server")
        yield url


BOUNDARY = "knee"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, filename: str | None = None) -> bytes:
    """The header of one part of a form; its content follows."""
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()


END = f"\r\n--{BOUNDARY}--\r\n".encode()


def exchange(url: str, request: bytes, seconds: float = 10.0) -> bytes:
    """Send raw bytes; returns everything received until the server closed or the time elapsed."""
    address = httpx.URL(url)
    answer = b""
    connection = socket.create_connection((address.host, address.port or 0), timeout=seconds)
    with connection, contextlib.suppress(OSError):
        connection.sendall(request)
        while piece := connection.recv(65536):
            answer += piece
    return answer

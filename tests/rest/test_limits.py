"""Uploads that are too large, too many, too slow or aborted, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from jobs.intake.uploads import remove_abandoned
from jobs.state.storage import Storage
from tests.support.processes import DATA_DIR, free_port, wait_until
from tests.support.rest_client import BOUNDARY, END, FORM, exchange, job_folders, own_server, part, post

pytestmark = pytest.mark.slow


def test_a_declared_size_above_the_limit_is_rejected_before_the_transfer(server: str, api: httpx.Client) -> None:
    head = (
        "POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=knee\r\n"
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
    """Returns the bytes sent before the server closed the connection; at most 64 MB."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 64 * 1024 * 1024:
            sent += connection.send(b"\x00" * 65536)
    return sent


def test_without_redis_every_response_is_a_fast_503(nifti: bytes) -> None:
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


def test_the_rejection_of_a_large_upload_reaches_common_clients(server: str, api: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    with path.open("wb") as stream:
        stream.truncate(601 * 1024 * 1024)
    curl = [
        "curl",
        "--silent",
        "--show-error",
        "--write-out",
        "%{http_code}",
        "--form",
        f"file=@{path}",
        f"{server}/upload",
    ]
    for command in (curl, [*curl, "--header", "Expect:"]):
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=30, check=False)
        assert answer.stdout.endswith("413"), answer
        assert "UPLOAD_TOO_LARGE" in answer.stdout
    with path.open("rb") as stream:
        answered = api.post("/upload", files={"file": ("scan.nii", stream)})
    assert (answered.status_code, answered.json()["error_code"]) == (413, "UPLOAD_TOO_LARGE")


def test_a_client_that_reads_after_sending_receives_the_rejection_of_a_small_form(api: httpx.Client) -> None:
    answer = api.post("/upload", content=part("file", "scan.txt") + bytes(700_000) + END, headers=FORM)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_UPLOAD")


def test_values_before_the_file_are_checked_before_it_is_sent(api: httpx.Client, server: str) -> None:
    before = job_folders()
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['content-type']}\r\n"
    head += "Content-Length: 100000000\r\n\r\n"
    begun = time.monotonic()
    answer = exchange(server, head.encode() + part("side") + b"both\r\n" + part("file", "a.nii") + b"a")
    assert answer.startswith(b"HTTP/1.1 422")
    assert time.monotonic() - begun < 5, "the rest of the body was not waited for"
    assert job_folders() == before


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * 700_000,
        (part("x") + b"\r\n") * 30_000,
        part("side") + b"a" * 1_400_000,
        b"--" + BOUNDARY.encode() + b"--" + bytes(1_400_000),
        part("other", "b.bin") + bytes(1_400_000) + END,
    ],
    ids=["line feeds", "parts", "long value", "after the end", "another file"],
)
@pytest.mark.parametrize("chunked", ["chunked", "announced"])
def test_a_form_with_large_fields_is_rejected(small: httpx.Client, body: bytes, chunked: str) -> None:
    before = job_folders()
    content = iter([body[at : at + 65536] for at in range(0, len(body), 65536)]) if chunked == "chunked" else body
    answer = small.post("/upload", content=content, headers=FORM)
    assert answer.status_code in (400, 413)
    assert job_folders() == before


@pytest.fixture(scope="module")
def small(valkey: str) -> Iterator[httpx.Client]:
    """A server with a limit of 1 MB."""
    with own_server(MAX_UPLOAD_SIZE_MB="1") as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def test_an_aborted_upload_leaves_no_files(server: str, api: httpx.Client) -> None:
    before = job_folders()
    address = httpx.URL(server)
    for length, chunk in (("Content-Length: 1000000", b""), ("Transfer-Encoding: chunked", b"2000\r\n")):
        head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['content-type']}\r\n{length}\r\n\r\n"
        with socket.create_connection((address.host, address.port or 0)) as connection:
            connection.sendall(head.encode() + chunk + part("file", "a.nii") + bytes(5000))
            wait_until(lambda: job_folders() - before, what="the upload")
        wait_until(lambda: job_folders() == before, what="nothing left")


def at_address(number: int) -> httpx.HTTPTransport:
    """Requests as from another client: 127.0.0.NUMBER."""
    return httpx.HTTPTransport(local_address=f"127.0.0.{number}")


async def posted(url: str, content: bytes) -> tuple[int, str]:
    """The answer that a client gets which stops reading when it can no longer send."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = await client.post("/upload", content=content, headers=FORM)
        return answer.status_code, answer.json()["error_code"]


def test_uploads_above_the_share_of_a_client_or_the_servers_number_get_a_retry_time(
    server: str, api: httpx.Client
) -> None:
    before = job_folders()
    address = httpx.URL(server)
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['content-type']}\r\n"
    head += "Content-Length: 1000000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for number in range(8):
            source = (f"127.0.0.{1 + number // 4}", 0)
            connection = socket.create_connection((address.host, address.port or 0), source_address=source)
            stack.enter_context(connection)
            connection.sendall(head.encode() + part("file", "a.nii") + b"a")
            wait_until(lambda n=number: len(job_folders() - before) == n + 1, what="the upload")
        small = part("file", "a.nii") + b"a" + END
        with httpx.Client(base_url=server, transport=at_address(3)) as other:
            for client, busy in ((api, (429, "CLIENT_BUSY")), (other, (503, "SERVER_BUSY"))):
                answer = client.post("/upload", content=small, headers=FORM)
                assert (answer.status_code, answer.json()["error_code"]) == busy
                assert int(answer.headers["retry-after"]) > 0
        large = part("file", "a.nii") + bytes(8_000_000) + END
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(asyncio.run, posted(server, large)).result() == (429, "CLIENT_BUSY")
        assert api.get("/stats").status_code == 200, "uploads that wait hold no thread of the others"
    wait_until(lambda: job_folders() == before, what="nothing left")
    assert api.post("/upload", content=part("file", "a.nii") + b"a" + END, headers=FORM).status_code == 400


def test_a_full_disk_is_503_and_leaves_no_files(valkey: str) -> None:
    before = job_folders()
    with own_server("ulimit -f 1024") as url, httpx.Client(base_url=url, timeout=30) as client:  # 1 MB: a write fails
        for content in (
            part("file", "a.nii") + bytes(3_000_000) + END,
            iter([part("file", "a.nii"), bytes(3_000_000)]),
        ):
            answer = client.post("/upload", content=content, headers=FORM)
            assert (answer.status_code, answer.json()["error_code"]) == (503, "STORAGE_FULL")
    assert job_folders() == before


def test_uploads_of_a_killed_server_are_removed_but_not_those_of_a_running_one(server: str, api: httpx.Client) -> None:
    storage = Storage(DATA_DIR)
    before = job_folders()
    dead = DATA_DIR / "incoming" / "of-a-process-that-is-gone"
    (dead / "input").mkdir(parents=True)
    address = httpx.URL(server)
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['content-type']}\r\n"
    head += "Content-Length: 9999\r\n\r\n"
    with socket.create_connection((address.host, address.port or 0)) as connection:
        connection.sendall(head.encode() + part("file", "a.nii") + b"a")
        wait_until(lambda: len(job_folders() - before) == 2, what="the upload")
        assert remove_abandoned(storage) == [], "all are young"
        for folder in (DATA_DIR / "incoming").iterdir():
            os.utime(folder, (0, 0))
        assert remove_abandoned(storage) == [dead.name]
        assert len(job_folders() - before) == 1
    wait_until(lambda: job_folders() == before, what="nothing left")

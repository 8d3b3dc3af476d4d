"""Uploads that are too large, too many, too slow or broken off, over real HTTP."""

from __future__ import annotations

import contextlib
import socket
import time

import httpx
from conftest import free_port
from rest_client import job_folders, own_server, post


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

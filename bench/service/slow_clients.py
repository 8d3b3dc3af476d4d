"""Slow clients: their connections are closed, and other clients are not affected."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from typing import Final

import httpx
import psutil

from bench.service.figures import Figure
from bench.service.site import Site, running_site
from bench.service.status_times import ADDRESS

CLOSED_WITHIN_S: Final = 30.0
ESTABLISHED: Final = 1
"""TCP state number of an open connection."""

KINDS: Final[dict[str, tuple[bytes, bytes]]] = {
    "silent": (b"", b""),
    "head": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-A: b\r\n"),
    "upload": (
        b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        b'--x\r\nContent-Disposition: form-data; name="side"\r\n\r\n',
        b"a",
    ),
    "body": (
        b"POST /jobs/none/retry HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n{",
        b" ",
    ),
    "reader": (b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 400, b""),
}
"""Bytes that each client sends at once, and then once per second. The reader requests much data and reads nothing."""


def figures(*, short: bool) -> list[Figure]:
    """Run with 300 connections; `short`: 60. Time-outs are those of the service."""
    with running_site() as site:
        site.start_queue()
        server = psutil.Process(site.start_api().pid)
        assert site.python(_QUEUED_JOB) == 0
        return _flood(site, server, 60 if short else 300)


_QUEUED_JOB: Final = """
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord
record = JobRecord(id="waiting", created_at=now(), ours=False)
open_backend().store._client.hset("jobs", record.id, record.to_json())
"""
"""A record as other programs write it: the service leaves it unchanged."""


class _Prober:
    """Requests the status of a job on new connections until it is stopped, from another address than the slow clients:
    the requests of one client share a part of the server.
    """

    def __init__(self, url: str) -> None:
        self.answers: Counter[str] = Counter()
        self.waits_ms: list[float] = []
        self._url = url
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.is_set():
            begun = time.perf_counter()
            try:
                with httpx.Client(transport=httpx.HTTPTransport(local_address=ADDRESS), timeout=5) as client:
                    answer = str(client.get(f"{self._url}/status/waiting").status_code)
            except httpx.TransportError as error:
                answer = type(error).__name__
            self.answers[answer] += 1
            self.waits_ms.append((time.perf_counter() - begun) * 1000)
            self._done.wait(0.05)


def _flood(site: Site, server: psutil.Process, connections: int) -> list[Figure]:
    kinds = list(KINDS)
    opened: dict[socket.socket, tuple[str, float]] = {}
    with _Prober(site.url) as prober:
        for number in range(connections):
            kind = kinds[number % len(kinds)]
            connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
            connection.setblocking(False)
            if kind == "reader":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with contextlib.suppress(OSError):
                connection.send(KINDS[kind][0])
            opened[connection] = (kind, time.monotonic())
        lasted = _until_closed(opened, server)
    slowest = {kind: max(seconds for k, seconds in lasted if k == kind) for kind in kinds}
    text = ", ".join(f"{kind} {seconds:.0f}" for kind, seconds in slowest.items())
    waits = sorted(prober.waits_ms)
    return [
        Figure(
            bar=f"{connections} slow connections closed <= 30 s",
            measured=f"slowest, in s: {text}",
            met=max(slowest.values()) <= CLOSED_WITHIN_S,
        ),
        Figure(
            bar="other requests answered meanwhile",
            measured=f"{dict(prober.answers)}, worst {waits[-1]:.0f} ms",
            met=set(prober.answers) == {"200"},
        ),
    ]


def _until_closed(opened: dict[socket.socket, tuple[str, float]], server: psutil.Process) -> list[tuple[str, float]]:
    """Send slowly until the server closes, for at most twice the limit. Returns (kind, seconds open) of each."""
    lasted: list[tuple[str, float]] = []
    limit = time.monotonic() + 2 * CLOSED_WITHIN_S
    left = dict(opened)
    dribbled, held, met = time.monotonic(), _held(server), set[int]()
    while left and time.monotonic() < limit:
        time.sleep(0.1)
        dribble = time.monotonic() - dribbled > 1
        if dribble:
            dribbled = time.monotonic()
            held = _held(server)
            met |= held
        for connection, (kind, begun) in list(left.items()):
            if _closed(connection, kind, KINDS[kind][1] if dribble else b"", met - held):
                lasted.append((kind, time.monotonic() - begun))
                del left[connection]
                connection.close()
    for connection, (kind, begun) in left.items():
        lasted.append((kind, time.monotonic() - begun))
        connection.close()
    return lasted


def _held(server: psutil.Process) -> set[int]:
    """Ports of the clients whose connections the server holds."""
    return {found.raddr.port for found in server.net_connections("tcp") if found.raddr}


def _closed(connection: socket.socket, kind: str, drop: bytes, gone: set[int]) -> bool:
    """Whether the server has closed the connection; otherwise sends the next bytes, if any.

    A reader never reads, so it never sees the end behind what was sent before. It asks the kernel, and whether its port
    is `gone` from those that the server held.
    """
    try:
        if drop:
            connection.send(drop)
        if kind == "reader":
            return _state(connection) != ESTABLISHED or connection.getsockname()[1] in gone
        return connection.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _state(connection: socket.socket) -> int:
    """First byte of TCP_INFO."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

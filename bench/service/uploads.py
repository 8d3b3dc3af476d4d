"""A large upload compared with `cat` through a socket to disk; and an upload with a declared size above the limit.
Both senders use `sendfile` on the same file. An upload ends when its file is closed after fsync, as for `cat`. The
check of the file follows in a separate process and is not part of the transfer.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import termios
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil

from bench.service.figures import Figure
from bench.service.site import SAMPLE, Site, running_site, wait_for

MEGABYTE: Final = 1024 * 1024
BOUNDARY: Final = "----WebKitFormBoundary7MA4YWxkTrZu0gW"  # as long as a browser's
HEAD: Final = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="side"\r\n\r\nauto\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="knee.zip"\r\n\r\n'
).encode()
TAIL: Final = f"\r\n--{BOUNDARY}--\r\n".encode()
PAIRS: Final = 5
"""Number of alternating cat and upload runs, so that other load on the machine affects both."""

LONGEST_WAIT_S: Final = 120.0


def figures(*, short: bool) -> list[Figure]:
    """Run with a file of 600 MB; `short`: one upload of 240 MB."""
    size = (240 if short else 600) * MEGABYTE - 4096  # the limit applies to the file
    folder = Path(tempfile.mkdtemp(prefix="knee-upload-"))
    try:
        with running_site() as site:
            site.start_queue()
            server = psutil.Process(site.start_api().pid)
            scan = padded_scan(folder / "scan.zip", size)
            return [*_upload_figures(site, server, scan, 1 if short else PAIRS), *_refusal_figures(site, server)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def padded_scan(path: Path, size: int) -> Path:
    """An archive with the sample knee and an uncompressed file of random bytes up to the size: valid and cheap to
    check.
    """
    piece = os.urandom(MEGABYTE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(SAMPLE, "knee/scan.nii.gz")
        with archive.open(zipfile.ZipInfo("knee/notes.pdf"), "w", force_zip64=True) as filler:
            left = size - path.stat().st_size - 1024
            while left > 0:
                left -= filler.write(piece[:left])
    return path


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """One upload.

    seconds: until it was on disk; written: bytes written by the server until then; grown: peak memory growth in bytes;
    waits_ms: response times of /status meanwhile.
    """

    seconds: float
    written: int
    grown: int
    waits_ms: list[float]


def _upload_figures(site: Site, server: psutil.Process, scan: Path, count: int) -> Iterator[Figure]:
    size = scan.stat().st_size
    with _sending(site, scan) as answer:  # warm-up run
        pass
    job = answer[0].split(b'"job_id":"')[1][:36].decode()
    _cat(scan, site.folder)
    pairs = [(_watched(site, server, scan, job), _cat(scan, site.folder)) for _ in range(count)]
    seen = [watched for watched, _ in pairs]
    most = max(one.written for one in seen) / size
    yield Figure(
        bar="bytes written <= 1.05 x of an upload",
        measured=f"{most:.3f} x of {size / MEGABYTE:.0f} MB (wchar of the server)",
        met=most <= 1.05,
    )
    grown = max(one.grown for one in seen) / MEGABYTE
    yield Figure(bar="memory of the server + <= 30 MB", measured=f"+ {grown:.1f} MB (RSS, sampled)", met=grown <= 30)
    waits = sorted(wait for one in seen for wait in one.waits_ms)
    late = waits[int(len(waits) * 0.99)]
    yield Figure(
        bar="/status p99 <= 50 ms meanwhile",
        measured=f"{late:.1f} ms ({len(waits)} responses), median {statistics.median(waits):.1f}, max {waits[-1]:.0f}",
        met=late <= 50,
        timed=True,
    )
    took, beside = (statistics.median(column) for column in zip(*((one.seconds, c) for one, c in pairs), strict=True))
    ratio = statistics.median(one.seconds / c for one, c in pairs)
    yield Figure(
        bar="time <= 1.5 x of cat through a socket to disk",
        measured=f"{took:.2f} s, cat {beside:.2f} s, both with fsync: {ratio:.2f} x (median of {count} pairs)",
        met=ratio <= 1.5,
        timed=True,
    )


@contextlib.contextmanager
def _sending(site: Site, scan: Path) -> Iterator[list[bytes]]:
    """Upload in a thread during the block; afterwards the list contains the response."""
    answer: list[bytes] = []

    def send() -> None:
        length = len(HEAD) + scan.stat().st_size + len(TAIL)
        with socket.create_connection(("127.0.0.1", site.port)) as connection, scan.open("rb") as source:
            connection.sendall(_request(site, length) + HEAD)
            connection.sendfile(source)
            connection.sendall(TAIL)
            answer.append(_answer(connection))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield answer
    finally:
        thread.join()
    assert answer[0].startswith(b"HTTP/1.1 201"), answer


def _request(site: Site, length: int) -> bytes:
    lines = (
        "POST /upload HTTP/1.1",
        f"Host: 127.0.0.1:{site.port}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n{" not in answer and (piece := connection.recv(65536)):
        answer += piece
    return answer


def _watched(site: Site, server: psutil.Process, scan: Path, job: str) -> _Watched:
    waits: list[float] = []
    before, resting = server.io_counters().write_chars, server.memory_info().rss
    peak = resting
    stored = threading.Event()

    def probe() -> None:
        nonlocal peak
        with httpx.Client(base_url=site.url) as client:
            while not stored.is_set():
                begun = time.perf_counter()
                assert client.get(f"/status/{job}").status_code == 200
                waits.append((time.perf_counter() - begun) * 1000)
                peak = max(peak, server.memory_info().rss)
                time.sleep(0.005)

    prober = threading.Thread(target=probe)
    prober.start()
    begun = time.monotonic()
    with _sending(site, scan):
        wait_for(lambda: _stored(site, server, scan.stat().st_size), LONGEST_WAIT_S, "the upload on the disk")
        seconds = time.monotonic() - begun
        written = server.io_counters().write_chars - before
        stored.set()
        prober.join()
    return _Watched(seconds=seconds, written=written, grown=peak - resting, waits_ms=waits)


def _stored(site: Site, server: psutil.Process, size: int) -> bool:
    """Whether the current upload is complete and closed."""
    for path in (site.folder / "incoming").glob("*/input/upload.zip"):
        with contextlib.suppress(OSError):
            if path.stat().st_size == size:
                return all(opened.path != str(path) for opened in server.open_files())
    return False


def _cat(scan: Path, folder: Path) -> float:
    """Seconds that `cat` takes from the first byte sent to the file on disk."""
    target = folder / "cat"
    with socket.create_server(("127.0.0.1", 0)) as listener, target.open("wb") as sink:
        sender = threading.Thread(target=_send_plain, args=(listener.getsockname(), scan))
        begun = time.monotonic()
        sender.start()
        connection, _ = listener.accept()
        with connection:
            subprocess.run(["cat"], stdin=connection, stdout=sink, check=True)
        os.fsync(sink.fileno())
        seconds = time.monotonic() - begun
        sender.join()
    target.unlink()
    return seconds


def _send_plain(address: tuple[str, int], scan: Path) -> None:
    with socket.create_connection(address) as connection, scan.open("rb") as source:
        connection.sendfile(source)


def _refusal_figures(site: Site, server: psutil.Process) -> Iterator[Figure]:
    """A client that declares 601 MB and continues to send regardless of the response."""
    before = server.io_counters().write_chars
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection:
        connection.sendall(_request(site, 601 * MEGABYTE) + HEAD)
        answer = _answer(connection)
        seconds = time.monotonic() - begun
        sent = taken = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < 64 * MEGABYTE:
                sent += connection.send(bytes(65536))
                (waiting,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
                taken = sent - waiting
    status = answer[:12].decode()
    written = server.io_counters().write_chars - before
    yield Figure(
        bar="601 MB declared: 413 in <= 1 s, <= 8 MB read",
        measured=f"{status} in {seconds * 1000:.0f} ms, {taken / MEGABYTE:.1f} MB taken from the client after it, "
        f"{written} bytes written",
        met=status == "HTTP/1.1 413" and seconds <= 1 and taken <= 8 * MEGABYTE,
    )

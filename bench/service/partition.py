"""Two attempts at once: two machines share a data directory, file locks are local to each, and one loses the queue.

Each machine is imitated by a mount namespace with a separate boot ID and a FUSE mount of the shared folder, whose
locks are its own. The first machine reaches the queue through a relay that can be cut. Needs root and bindfs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import psutil

from bench.service.figures import Figure
from bench.service.inside import Inside, small_knee
from bench.service.site import ROOT, Site, running_site, wait_for
from jobs.state.model import JobRecord, Status

CUT_S: Final = 60.0
BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_PIECE: Final = 65536


def figures(*, short: bool) -> list[Figure]:
    """4 partitions with 5 pairs of attempts each; `short`: one pair."""
    if os.geteuid() != 0 or shutil.which("bindfs") is None:
        return [Figure(bar="two attempts at once", measured="not measured: needs root and bindfs", met=True)]
    rounds, pairs = (1, 1) if short else (4, 5)
    results = [_round(pairs) for _ in range(rounds)]
    wrong = [text for result in results for text in result.wrong]
    return [
        Figure(
            bar="one published result per job, whole",
            measured=f"{rounds * pairs - len(wrong)} of {rounds * pairs}{': ' if wrong else ''}{'; '.join(wrong)}",
            met=not wrong,
        ),
        Figure(
            bar="local locks are found and reported",
            measured=f"in {sum(result.reported for result in results)} of {rounds} partitions",
            met=all(result.reported for result in results),
        ),
    ]


class _Result:
    """What one partition led to. reported: whether a worker reported that locks are local."""

    def __init__(self, wrong: list[str], *, reported: bool) -> None:
        self.wrong = wrong
        self.reported = reported


def _round(pairs: int) -> _Result:
    with running_site() as site, tempfile.TemporaryDirectory(prefix="knee-out-") as outside:
        site.logs = Path(outside)
        site.start_queue_in(Path(outside) / ("tcp" * 30))  # too long for a Unix socket
        inside = Inside(site)
        scan = Path(outside) / "scan.nii.gz"
        scan.write_bytes(small_knee())
        with _relay(site.queue_url) as relay, machine(site, "a") as first, machine(site, "b") as second:
            workers = [first.start_worker(relay.url) for _ in range(pairs)]
            command = [sys.executable, "-m", "bench.service.submitting", str(scan), str(pairs)]
            subprocess.run(command, cwd=ROOT, env=site.environment, check=True)
            wait_for(lambda: all(at_work(record, 1) for record in records_of(inside)), 300, "a running job per worker")
            horses = [child for worker in workers for child in _horses(worker)]
            for horse in horses:
                horse.send_signal(signal.SIGSTOP)
            relay.cut()
            cut_at = time.monotonic()
            for _ in range(pairs):
                second.start_worker(site.queue_url)
            wait_for(lambda: any(at_work(record, 2) for record in records_of(inside)), 300, "a second attempt")
            for horse in horses:  # its end waits for the queue, so that it lasts longer than the second attempt
                horse.send_signal(signal.SIGCONT)
            wait_for(lambda: all(record.attempt >= 2 for record in records_of(inside)), 300, "all second attempts")
            time.sleep(max(0.0, CUT_S - (time.monotonic() - cut_at)))
            relay.heal()
            wait_for(lambda: all_ended(inside) and not any(map(_alive, horses)), 900, "the end of both attempts")
            time.sleep(1.0)
            reported = any(worker.locks for worker in inside.queue.workers())
            wrong = [text for job_id in inside.records() if (text := wrong_result(inside, job_id))]
            counted = int(inside.client.get("stats:total_processed") or 0)
            wrong += [f"{counted} counted as processed"] if counted != pairs else []
            return _Result(wrong, reported=reported)


def records_of(inside: Inside) -> list[JobRecord]:
    return list(inside.records().values())


def at_work(record: JobRecord, attempt: int) -> bool:
    return record.status is Status.PROCESSING and record.attempt == attempt and record.current_step >= 1


def all_ended(inside: Inside) -> bool:
    return all(record.status.final for record in inside.records().values())


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _horses(worker: psutil.Process) -> list[psutil.Process]:
    return worker.children()


def wrong_result(inside: Inside, job_id: str) -> str:
    """What is wrong with the result of a job; empty if it is one whole result."""
    record = inside.store.load(job_id)
    if record is None or record.status is not Status.COMPLETE:
        return "not complete"
    left = inside.storage.attempts(job_id)
    if left != [record.attempt]:
        return f"files of attempts {left}, published is {record.attempt}"
    path = inside.storage.file_of(job_id, record.result_path or "")
    manifest = inside.storage.workspace(job_id, record.attempt).manifest_path
    if path is None:
        return "no results"
    if hashlib.sha256(path.read_bytes()).hexdigest() != json.loads(manifest.read_text())["archive_sha256"]:
        return "the zip is not that of its manifest"
    with zipfile.ZipFile(path) as archive:
        return "" if archive.testzip() is None else "the zip is damaged"


class Machine:
    """A machine that shares the site's data directory, mounted in `folder`.

    prefix: a command that runs another one within limits, such as a network namespace
    """

    def __init__(self, site: Site, name: str, folder: Path, prefix: Sequence[str] = ()) -> None:
        self._site = site
        self._name = name
        self._folder = folder
        self._prefix = prefix
        self._boot_id = folder.with_name(f"{name}.boot_id")
        self._boot_id.write_text(f"{uuid4()}\n", encoding="ascii")

    def start_worker(self, queue_url: str) -> psutil.Process:
        """A worker of this machine."""
        program = f'mount --bind "{self._boot_id}" {BOOT_ID} && exec "{sys.executable}" worker.py'
        environment = self._site.environment | {"DATA_DIR": str(self._folder), "REDIS_URL": queue_url}
        process = self._site.start_command(
            [*self._prefix, "unshare", "-m", "sh", "-c", program], log=f"worker-{self._name}", environment=environment
        )
        return psutil.Process(process.pid)


@contextlib.contextmanager
def machine(site: Site, name: str, prefix: Sequence[str] = ()) -> Iterator[Machine]:
    """A machine with a FUSE mount of the data directory: file locks are local to it."""
    with tempfile.TemporaryDirectory(prefix="knee-host-") as place:
        folder = Path(place) / name
        folder.mkdir()
        subprocess.run(["bindfs", str(site.folder), str(folder)], check=True)
        try:
            yield Machine(site, name, folder, prefix)
        finally:
            site.stop()
            subprocess.run(["umount", "-l", str(folder)], check=False)


class _Relay:
    """Forwards connections to the queue; while it is cut, nothing passes and nothing is closed."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url.replace(f"127.0.0.1:{self._target.port}", f"127.0.0.1:{port}")
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._open.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target.port or 0))
        except OSError:
            near.close()
            return
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                self._open.wait()
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _relay(url: str) -> Iterator[_Relay]:
    relay = _Relay(url)
    try:
        yield relay
    finally:
        relay.close()

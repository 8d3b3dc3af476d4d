"""A complete service for one measurement: queue, workers and REST server as processes on a separate data directory."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import redis

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SAMPLE: Final = ROOT / "samples" / "sample_knee.nii.gz"
_OURS: Final = (
    "REDIS_URL",
    "MODELS_DIR",
    "API_KEYS",
    "HOST",
    "DEVICE",
    "OPEN_ACCESS",
    "ALLOWED_HOSTS",
    "TRUSTED_PROXIES",
    "ROOT_PATH",
    "MAX_UPLOAD_SIZE_MB",
    "RESULTS_EXPIRY_HOURS",
)


def free_port() -> int:
    """A currently unused port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Poll until the condition is true; returns the elapsed seconds. Raises TimeoutError."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"{what} was not reached within {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - start


class Site:
    """Its parts are started one by one; `close` stops those still running.

    folder, port, url, environment   the data directory, port and address of the REST server, environment of all parts
    logs, queue_folder               folders of the logs and of the queue's data, by default the data directory
    """

    def __init__(self, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="knee-site-"))  # a Unix socket path has at most 104 bytes
        self.logs = self.folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        self.environment = kept | {"DATA_DIR": str(self.folder), "API_PORT": str(self.port)} | environment
        self.queue_folder = self.folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, log: str, **environment: str) -> subprocess.Popen[bytes]:
        """Run `python COMMAND...` of this project in a separate session; output goes to `log` in `logs`."""
        return self.start_command([sys.executable, *command], log=log, environment=self.environment | environment)

    def start_command(self, command: list[str], *, log: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """As `start`, for any command and with its whole environment."""
        with (self.logs / f"{log}.log").open("ab") as stream:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def start_queue(self) -> subprocess.Popen[bytes]:
        """Start the embedded Valkey and wait until it is ready."""
        process = self.start("-m", "bench.service.valkey", log="valkey")
        wait_for(self._queue_answers, 30, "Valkey")
        return process

    def start_queue_in(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start a Valkey with its data in another folder, as an external queue, and wait until it is ready."""
        process = self.start("-m", "bench.service.valkey", log="valkey", DATA_DIR=str(folder))
        self.queue_folder = folder
        wait_for(self._queue_answers, 30, "Valkey")
        self.environment["REDIS_URL"] = self.queue_url
        return process

    @property
    def queue_url(self) -> str:
        """Address of the queue. Raises FileNotFoundError."""
        return (self.queue_folder / "valkey" / "url").read_text(encoding="utf-8").strip()

    def _queue_answers(self) -> bool:
        with contextlib.suppress(FileNotFoundError, redis.RedisError), redis.Redis.from_url(self.queue_url) as client:
            return bool(client.ping())
        return False

    def start_worker(self) -> subprocess.Popen[bytes]:
        """One worker."""
        return self.start("worker.py", log="worker")

    def start_api(self) -> subprocess.Popen[bytes]:
        """Start the REST server and wait until it is ready."""
        process = self.start("-m", "rest", log="api")
        wait_for(self.answers, 60, "the REST server")
        return process

    def answers(self) -> bool:
        """Whether the REST server responds and is connected to its queue."""
        with contextlib.suppress(OSError), urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310 -- our address
            return bool(answer.status == 200)
        return False

    def python(self, program: str) -> int:
        """Run a program in a separate process with this site's settings; returns its exit status."""
        answer = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=self.environment, capture_output=True, check=False
        )
        return answer.returncode

    def stop(self) -> None:
        """Stop all running parts; after this, the folder no longer changes."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 2
        for process in reversed(self._processes):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def close(self) -> None:
        """Stop all running parts and remove the folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running_site(**environment: str) -> Iterator[Site]:
    """A context manager with a Site."""
    opened = Site(**environment)
    try:
        yield opened
    finally:
        opened.close()

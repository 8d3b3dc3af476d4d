"""Processes of the product in tests: data directory, starting, waiting and stopping."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = Path(tempfile.mkdtemp(prefix="knee-test-"))  # short: a unix socket's path holds 104 bytes
os.environ["DATA_DIR"] = str(DATA_DIR)
SHARED_DIR = Path(os.environ.setdefault("KNEE_TEST_SHARED_DIR", str(DATA_DIR)))
"""One folder for all processes of a parallel test run: the data folder of the process that started them."""

for name in ("REDIS_URL", "MODELS_DIR", "API_KEYS", "HOST", "DEVICE", "MAX_UPLOAD_SIZE_MB", "RESULTS_EXPIRY_HOURS"):
    os.environ.pop(name, None)


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0, what: str = "the condition") -> None:
    """Poll until the condition is true; fails the test after the given time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"{what} was not reached within {seconds:.0f} s")


def free_port() -> int:
    """A currently unused port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A context manager with a process of the product."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=1.2)
        except subprocess.TimeoutExpired:
            process.terminate()  # a busy worker stops at the second signal
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

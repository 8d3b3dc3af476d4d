"""`make run`: all processes start, become healthy, are restarted after a crash, and stop on request."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import httpx
import psutil
import pytest

from tests.support.processes import ROOT, free_port, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="knee-serve-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


class Product:
    """A running serve.py with a data directory and two free ports."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.ports = free_port(), free_port()
        self.output = data_dir / "output.txt"
        settings = {"DATA_DIR": str(data_dir), "API_PORT": str(self.ports[0]), "APP_PORT": str(self.ports[1])}
        inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        with self.output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "serve.py"],
                cwd=ROOT,
                env=inherited | settings | environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_ready(self) -> None:
        wait_until(lambda: "Ready" in self.said or self.process.poll() is not None, seconds=120, what="the start")
        assert self.process.poll() is None, self.said

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, path: str, *, page: bool = False) -> int:
        try:
            with urlopen(f"http://127.0.0.1:{self.ports[page]}{path}", timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return 0

    def stop(self, number: signal.Signals) -> None:
        """Send a signal; all processes must end soon after."""
        children = self.children()
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        wait_until(
            lambda: not any(child.is_running() for child in children), seconds=5, what="the end of all processes"
        )


@pytest.fixture(scope="module")
def product(data_dir: Path) -> Iterator[Product]:
    running = Product(data_dir)
    try:
        running.wait_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop(signal.SIGTERM)


def test_all_processes_start_and_a_second_start_is_refused(product: Product, data_dir: Path) -> None:
    assert product.get("/health") == 200
    assert httpx.get(f"http://127.0.0.1:{product.ports[0]}/health").json()["worker"] == "available"
    assert product.get("/_stcore/health", page=True) == 200
    for port in product.ports:
        assert f"http://127.0.0.1:{port}" in product.said
    assert len(product.children()) >= 4
    second = subprocess.run(
        [sys.executable, "serve.py"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(data_dir)},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"Already running on {data_dir} (process {product.process.pid})" in second.stderr


def test_every_line_of_every_log_has_a_time(product: Product, data_dir: Path) -> None:
    product.get("/status/none?key=secret")
    product.get("/jobs", page=True)
    wait_until(lambda: "/jobs" in (data_dir / "logs" / "access.log").read_text(), what="both ports in one log")
    logs = {path.name: path.read_text().splitlines() for path in (data_dir / "logs").iterdir()}
    assert set(logs) == {"queue.log", "worker.log", "api.log", "app.log", "access.log"}
    timeless = [line for lines in logs.values() for line in lines if not re.search(r"\d\d:\d\d:\d\d\.\d{3}", line)]
    assert timeless == []
    assert any(re.search(r"GET /status/\{job_id\} 404 \d+ [\d.]+$", line) for line in logs["access.log"])
    assert "secret" not in str(logs)


def test_an_ended_process_is_restarted(product: Product) -> None:
    for name in ("valkey-server", "worker.py", "rest"):
        victim = next(child for child in product.children() if any(part.endswith(name) for part in child.cmdline()))
        victim.kill()
        wait_until(
            lambda victim=victim, name=name: any(
                child.pid != victim.pid and name in " ".join(child.cmdline()) for child in product.children()
            ),
            what=f"another {name}",
        )
    wait_until(lambda: product.get("/health") == 200, what="a healthy service")
    assert "restarting it" in product.said


def test_a_port_in_use_is_named(product: Product, tmp_path: Path) -> None:
    environment = os.environ | {"DATA_DIR": str(tmp_path), "API_PORT": str(product.ports[0])}
    answer = subprocess.run(
        [sys.executable, "serve.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert answer.returncode == 1
    assert f"API_PORT: cannot listen on 127.0.0.1, port {product.ports[0]}" in answer.stderr
    assert f"API_PORT={product.ports[0] + 100} make run" in answer.stderr


def test_an_interrupt_ends_all_processes(product: Product, data_dir: Path) -> None:
    product.stop(signal.SIGINT)
    assert product.process.returncode == 0
    assert not (data_dir / "valkey" / "valkey.sock").exists()


def test_a_long_data_path_uses_a_port_with_a_password_and_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    long = tmp_path / ("long-name-" * 12)
    long.mkdir()
    product = Product(long)
    try:
        product.wait_ready()
        assert product.get("/health") == 200
        address = (long / "valkey" / "url").read_text()
        assert address.startswith("redis://:")
        assert (long / "valkey" / "url").stat().st_mode & 0o077 == 0
    finally:
        product.stop(signal.SIGKILL if sys.platform.startswith("linux") else signal.SIGTERM)


@pytest.mark.parametrize(
    ("name", "value"),
    [("API_PORT", "eight"), ("MAX_UPLOAD_SIZE_MB", "0"), ("DEVICE", "tpu"), ("ROOT_PATH", "knee")],
)
def test_an_invalid_setting_stops_the_start_with_its_name(tmp_path: Path, name: str, value: str) -> None:
    for program in ("serve.py", "worker.py"):
        answer = subprocess.run(
            [sys.executable, program],
            cwd=ROOT,
            env=os.environ | {"DATA_DIR": str(tmp_path), name: value},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert answer.returncode == 2
        assert f"{name} is '{value}'" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_an_unreachable_external_redis_stops_the_start(tmp_path: Path) -> None:
    environment = os.environ | {"DATA_DIR": str(tmp_path), "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    environment |= {"API_PORT": str(free_port()), "APP_PORT": str(free_port())}
    answer = subprocess.run(
        [sys.executable, "serve.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1
    assert "REDIS_URL is set, but the server is not responding" in answer.stderr

"""Shared parts of the browser tests: the complete product as started by `make run`, and Chromium."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import httpx
import pytest

from bench.pages.chromium import ARGS, chromium_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "sample_knee.nii.gz"
CHROMIUM_ARGS = [*ARGS, "--disable-gpu-rasterization", "--disable-gpu-compositing"]
"""Without a GPU, pages are drawn at a third of the cost if only WebGL goes through the emulated one."""
START_LIMIT_S = 180.0
ANALYSIS_LIMIT_MS = 420_000.0
"""A shared machine with two cores may take several times the 45 s of an idle one."""


def require_chromium() -> str:
    """Path of the browser; without one, the test is skipped locally and fails in CI."""
    path = chromium_path()
    if path is None:
        reason = "no Chromium found; get one with: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class Product:
    """`serve.py` on separate ports and a separate data folder; it can be stopped and restarted on the same ones."""

    def __init__(self, folder: Path, app_port: int, api_port: int, **environment: str) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{app_port}"
        self.api_url = f"http://127.0.0.1:{api_port}"
        self._log = folder / "serve.log"
        self._environment = os.environ | {
            "DATA_DIR": str(folder / "data"),
            "APP_PORT": str(app_port),
            "API_PORT": str(api_port),
            "HOST": "127.0.0.1",
        }
        self._environment.pop("REDIS_URL", None)
        self._environment |= environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until its pages respond."""
        with self._log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "serve.py"], cwd=ROOT, env=self._environment, stdout=stream, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                pytest.fail(f"serve.py ended with {self._process.returncode}:\n{self._tail()}")
            with contextlib.suppress(URLError, OSError), urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:  # noqa: S310 -- our address
                if answer.status == 200:
                    return
            time.sleep(0.2)
        pytest.fail(f"serve.py was not ready after {START_LIMIT_S:.0f} s:\n{self._tail()}")

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def analyse(self, name: str, content: bytes) -> str:
        """Analyse a scan through the REST interface; returns the ID of the completed job."""
        with httpx.Client(base_url=self.api_url, timeout=120) as client:
            job_id = str(client.post("/upload", files={"file": (name, content)}).json()["job_id"])
            deadline = time.monotonic() + ANALYSIS_LIMIT_MS / 1000
            while time.monotonic() < deadline:
                state = client.get(f"/status/{job_id}").json()
                if state["status"] == "complete":
                    return job_id
                assert state["status"] != "error", state
                time.sleep(0.3)
        pytest.fail("the analysis did not end")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def opened(browser: Browser, product: Product, *, width: int = 1440, scheme: str = "light") -> Iterator[Page]:
    """A new tab in a new browser profile. At the end, checks that no other host received a request."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",  # animations are rendered by the CPU, which also runs the analysis
        accept_downloads=True,  # type: ignore[arg-type] # a literal
    )
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    hosts: set[str] = set()
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    tab.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    yield tab
    context.close()
    assert hosts - {""} <= {urlsplit(product.url).netloc}

"""Shared parts of the browser tests: the complete product as started by `make run`, and Chromium."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import httpx
import psutil
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
        self.studies = folder / "studies"  # scans that the operator allows for studies
        self.studies.mkdir()
        self.url = f"http://127.0.0.1:{app_port}"
        self.api_url = f"http://127.0.0.1:{api_port}"
        self._log = folder / "serve.log"
        self._environment = os.environ | {
            "DATA_DIR": str(folder / "data"),
            "APP_PORT": str(app_port),
            "API_PORT": str(api_port),
            "HOST": "127.0.0.1",
            "STUDY_DATA_DIRS": str(self.studies),
        }
        self._environment.pop("REDIS_URL", None)
        self._environment |= environment
        self._process: subprocess.Popen[bytes] | None = None

    def pages_server(self) -> psutil.Process:
        """The process that serves the pages."""
        assert self._process is not None
        (server,) = (child for child in psutil.Process(self._process.pid).children() if "web.py" in child.cmdline())
        return server

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

    def submit(self, name: str, content: bytes, labels: bytes | None = None) -> str:
        """Upload a scan, and a label map (NIfTI), through the REST interface; returns the ID of its job."""
        files = {"file": (name, content)} | ({} if labels is None else {"labels": ("labels.nii", labels)})
        answer = httpx.post(f"{self.api_url}/upload", files=files, timeout=120)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["job_id"])

    def analyse(self, name: str, content: bytes, labels: bytes | None = None) -> str:
        """As submit; returns the ID of the completed job."""
        job_id = self.submit(name, content, labels)
        with httpx.Client(base_url=self.api_url, timeout=120) as client:
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


_FREE: dict[Browser, Page] = {}
"""The tab of each browser while no test uses it."""


@contextlib.contextmanager
def opened(
    browser: Browser, address: str, *, size: tuple[int, int] = (1440, 900), timeout_ms: float = 60_000
) -> Iterator[Page]:
    """An empty tab, as in a new browser profile. At the end, checks that no other host than that of the address
    received a request, and that the Content-Security-Policy refused nothing.

    Every test gets the same tab. A new tab has a new process, which compiles the scripts of the pages again: two thirds
    of the CPU time of opening a page.
    """
    tab = _FREE.pop(browser, None) or browser.new_context(accept_downloads=True).new_page()
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    # animations are rendered by the CPU, which also runs the analysis
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    tab.set_default_timeout(timeout_ms)
    hosts: set[str] = set()

    refused: list[str] = []

    def note(asked: Any) -> None:
        hosts.add(urlsplit(asked.url).netloc)

    def read(line: Any) -> None:
        refused.extend([line.text] if "Content Security Policy" in line.text else [])

    try:
        with listening(tab, request=note, websocket=note, console=read):
            yield tab
    except BaseException:
        tab.context.close()  # a failed test may leave anything behind
        raise
    _empty(tab, address)
    _FREE[browser] = tab
    assert hosts - {""} <= {urlsplit(address).netloc}
    assert refused == []


@contextlib.contextmanager
def listening(tab: Page, **listeners: Callable[[Any], object]) -> Iterator[None]:
    """Call listeners on the events of a tab, by name, during the block."""
    for event, listener in listeners.items():
        tab.on(event, listener)  # type: ignore[call-overload] # names of events
    yield
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)


def _empty(tab: Page, address: str) -> None:
    """Leave the page; delete what it stored, and the routes of the test."""
    tab.unroute_all()
    tab.goto("about:blank")
    tab.mouse.move(0, 0)
    tab.context.clear_cookies()
    session = tab.context.new_cdp_session(tab)
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
    session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
    session.detach()

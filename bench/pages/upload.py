"""A large file uploaded through the page: its cost in memory and time on the server of the pages."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import psutil

from bench.pages.chromium import launch
from bench.service.figures import Figure
from bench.service.site import Site, free_port, running_site, wait_for
from bench.service.uploads import MEGABYTE, padded_scan

if TYPE_CHECKING:
    from playwright.sync_api import Page

MEMORY_BAR_MB: Final = 64
LIMIT_MS: Final = 300_000.0
SAMPLE_S: Final = 0.02
NOTE_PROGRESS: Final = """root => {
    window.progressShown = [];
    new MutationObserver(() => {
        for (const detail of root.querySelectorAll("[data-part=detail]")) {
            window.progressShown.push(detail.innerText);
        }
    }).observe(root, {subtree: true, childList: true, characterData: true});
}"""
"""Recorded inside the page, because a short upload ends before it can be polled twice from outside."""


class Peak:
    """The peak memory (RSS) of a process during a block, sampled."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._over = threading.Event()
        self.bytes = 0

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.bytes = max(self.bytes, self._process.memory_info().rss)


def figures(*, short: bool) -> list[Figure]:
    """Measure with a file of 600 MB; `short`: 60 MB."""
    from playwright.sync_api import sync_playwright

    folder = Path(tempfile.mkdtemp(prefix="knee-page-upload-"))
    try:
        with running_site() as site, sync_playwright() as playwright:
            site.start_queue()
            port = free_port()
            server = psutil.Process(_start_pages(site, port))
            scan = padded_scan(folder / "knee.zip", (60 if short else 600) * MEGABYTE - 4096)
            page = launch(playwright).new_page()
            page.set_default_timeout(LIMIT_MS)
            page.goto(f"http://127.0.0.1:{port}")
            return figures_of_page(page, server, scan)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def figures_of_page(page: Page, server: psutil.Process, scan: Path) -> list[Figure]:
    """The same on the home page of a running server."""
    page.get_by_role("button", name="Choose files").wait_for()
    page.wait_for_timeout(1500)
    resting = server.memory_info().rss
    page.locator(".upload").evaluate(NOTE_PROGRESS)
    with Peak(server) as peak:
        begun = time.monotonic()
        page.locator("input[data-part=files]").set_input_files(str(scan))
        page.get_by_text("can be measured").wait_for()
        seconds = time.monotonic() - begun
    shown = set(page.evaluate("window.progressShown"))
    grown = (peak.bytes - resting) / MEGABYTE
    size = scan.stat().st_size / MEGABYTE
    steps = sum(" of " in text for text in shown)
    return [
        Figure(
            bar=f"{size:.0f} MB through the page: memory of its server + <= {MEMORY_BAR_MB} MB",
            measured=f"+ {grown:.1f} MB (RSS, sampled; idle: {resting / MEGABYTE:.0f} MB), accepted after "
            f"{seconds:.1f} s",
            met=grown <= MEMORY_BAR_MB,
        ),
        Figure(bar="progress is shown during the upload", measured=f"{steps} different readings", met=steps >= 2),
    ]


def _start_pages(site: Site, port: int) -> int:
    process = site.start("web.py", log="web", APP_PORT=str(port))

    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).status_code == 200
        return False

    wait_for(answers, 60, "the pages")
    return process.pid

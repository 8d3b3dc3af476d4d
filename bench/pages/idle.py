"""Cost of idle open pages: bytes to and from the browser, CPU time of server and browser.

The analysis page has followed its job to the end before it is measured, so that continued polling would be detected.
It and the home page are open at the same time, in separate foreground windows, and share one bar for CPU time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from bench.pages.chromium import launch
from bench.pages.product import page_site
from bench.service.figures import Figure
from bench.service.inside import small_knee
from bench.service.site import SAMPLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LONG_S: Final = 60.0
SHORT_S: Final = 35.0
REST_S: Final = 20.0
SHORT_REST_S: Final = 10.0
"""Waiting time before the measurement: a newly opened page may still be drawing."""

MOST_BYTES_S: Final = 1024.0
MOST_CPU: Final = 0.02
"""Fraction of one core."""


@dataclass
class Traffic:
    """Network traffic since `clear`: bytes of responses and of frames, number of frames and requests."""

    received: int = 0
    sent: int = 0
    frames: int = 0
    requests: int = 0
    session: Any = field(default=None, repr=False)

    def watch(self, page: Page) -> None:
        """Listen to all traffic of this page."""
        self.session = page.context.new_cdp_session(page)
        self.session.on("Network.dataReceived", self._data)
        self.session.on("Network.requestWillBeSent", self._request)
        self.session.on("Network.webSocketFrameReceived", lambda event: self._frame(event, sent=False))
        self.session.on("Network.webSocketFrameSent", lambda event: self._frame(event, sent=True))
        self.session.send("Network.enable")

    def clear(self) -> None:
        """Reset the counters."""
        self.received = self.sent = self.frames = self.requests = 0

    def _data(self, event: dict[str, Any]) -> None:
        self.received += int(event["encodedDataLength"])

    def _request(self, event: dict[str, Any]) -> None:
        self.requests += 1
        self.sent += len(event["request"]["url"]) + sum(map(len, event["request"]["headers"]))

    def _frame(self, event: dict[str, Any], *, sent: bool) -> None:
        self.frames += 1
        size = len(event["response"]["payloadData"])
        if sent:
            self.sent += size
        else:
            self.received += size


@dataclass(frozen=True, kw_only=True)
class Idle:
    """server, pages: fraction of a core."""

    server: float
    pages: float
    seconds: float


def measure(browser: Browser, page: Page, traffic: list[Traffic], server_pid: int, seconds: float) -> Idle:
    """Measure idle pages for `seconds`; `page`: any of them."""
    server = psutil.Process(server_pid)
    for one in traffic:
        one.clear()
    before, begun = (_busy(server), _browser_busy(browser)), time.monotonic()
    page.wait_for_timeout(seconds * 1000)
    after, spent = (_busy(server), _browser_busy(browser)), time.monotonic() - begun
    return Idle(server=(after[0] - before[0]) / spent, pages=(after[1] - before[1]) / spent, seconds=spent)


def _busy(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _browser_busy(browser: Browser) -> float:
    """CPU seconds of the browser's renderers and its GPU process, which renders in software."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(float(item["cpuTime"]) for item in processes if item["type"] in ("renderer", "GPU"))


def follow_to_the_end(page: Page, pages_url: str, job_id: str, start: Callable[[], object]) -> None:
    """Open a job and stay until its results appear; its page polls meanwhile. start: called when progress is shown."""
    page.goto(f"{pages_url}/analysis?job={job_id}")
    page.get_by_role("progressbar").wait_for()
    start()
    page.get_by_role("tab", name="3D").wait_for(timeout=600_000)
    page.locator("[data-ok3d][data-state=ready]").wait_for(timeout=120_000)


def figures(*, short: bool) -> list[Figure]:
    """Measure for 60 s; `short`: 35 s and a coarse knee. The job waits for its worker until its page is open."""
    from playwright.sync_api import sync_playwright

    with page_site() as site, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        site.start_queue()
        server = site.start_pages()
        scan = Path(folder) / "knee.nii.gz"
        scan.write_bytes(small_knee() if short else SAMPLE.read_bytes())
        browser, job_id = launch(playwright), site.submit(scan)
        found = figures_of_pages(browser, site.pages_url, server.pid, job_id, start=site.start_worker, short=short)
        browser.close()
    return found


def figures_of_pages(
    browser: Browser, pages_url: str, server_pid: int, job_id: str, *, start: Callable[[], object], short: bool
) -> list[Figure]:
    """The same on a running server, whose queue holds the job. start: called when the progress of the job is shown."""
    analysis, home = browser.new_context().new_page(), browser.new_context().new_page()
    of_analysis, of_home = Traffic(), Traffic()
    of_analysis.watch(analysis)
    follow_to_the_end(analysis, pages_url, job_id, start)
    polled = of_analysis.frames
    of_home.watch(home)
    home.goto(pages_url)
    home.get_by_role("button", name="Choose files").wait_for()
    home.wait_for_timeout(1000 * (SHORT_REST_S if short else REST_S))
    shown = [page.evaluate("document.visibilityState") for page in (analysis, home)]
    seconds = SHORT_S if short else LONG_S
    idle = measure(browser, home, [of_analysis, of_home], server_pid, seconds)
    for page in (analysis, home):
        page.context.close()
    return [
        Figure(
            bar="polling stops when an analysis has ended: 0 websocket frames afterwards",
            measured=f"{polled} frames while it ran, {of_analysis.frames} in {idle.seconds:.0f} s afterwards",
            met=of_analysis.frames == 0 < polled,
        ),
        Figure(bar="both pages are shown", measured=", ".join(shown), met=set(shown) == {"visible"}),
        _bytes("finished analysis", of_analysis, idle.seconds),
        _bytes("home page", of_home, idle.seconds),
        _processor("server", idle.server),
        _processor("browser (renderers and GPU process)", idle.pages),
    ]


def _bytes(name: str, traffic: Traffic, seconds: float) -> Figure:
    rate = (traffic.received + traffic.sent) / seconds
    measured = f"{rate:.0f} B/s over {seconds:.0f} s"
    return Figure(bar=f"open {name}, idle: 1 KB/s", measured=measured, met=rate <= MOST_BYTES_S)


def _processor(name: str, share: float) -> Figure:
    bar = f"finished analysis and home page open together, idle: 2 % of a core, {name}"
    return Figure(bar=bar, measured=f"{100 * share:.2f} %", met=share <= MOST_CPU)

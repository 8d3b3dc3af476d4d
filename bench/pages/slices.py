"""The slice viewer: time from the request of the page until it shows slices and responds to a key, and cost per slice.

Uses an analysis of the sample knee, 160 x 384 x 384, with an empty cache each time. Measured alternately with the 3D
viewer if its page is available.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bench.pages.chromium import launch
from bench.pages.viewer_site import ROOT, served
from bench.service.figures import Figure
from pipeline.options import AnalysisOptions
from pipeline.run import run_analysis
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SAMPLE: Final = ROOT / "samples" / "sample_knee.nii.gz"
REPEATS: Final = 5
REPEATS_SHORT: Final = 1
LIMIT_MS: Final = 60_000
USABLE_BAR_S: Final = 2.0
RATIO_BAR: Final = 2.0
LEAVES: Final = 30

_READY: Final = '.slices[data-state="ready"]'
_LEAF_MS: Final = """async (root, times) => {
  const canvas = root.querySelector("canvas");
  const taken = [];
  for (let k = 0; k < times; k += 1) {
    const start = performance.now();
    canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: 1, deltaMode: 1, bubbles: true, cancelable: true}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    taken.push(performance.now() - start);
  }
  return taken;
}"""
"""Time from a wheel event until the frame with the next slice and all crosshairs is submitted."""


def figures(*, short: bool) -> list[Figure]:
    """Seconds until usable, the ratio to the 3D viewer, and requests to other hosts."""
    from playwright.sync_api import sync_playwright

    repeats = REPEATS_SHORT if short else REPEATS
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        workspace = Workspace(folder / "job")
        request = Request(input_name=SAMPLE.name, scan=str(SAMPLE))
        run_analysis(workspace, AnalysisOptions(), Resources(), request, lambda _: None)
        browser = launch(playwright)
        hosts: set[str] = set()
        with served("slices", workspace.view_dir, folder / "slices.log") as page:
            _slices(browser, page, hosts)  # the first page of the server imports shared libraries
            ours = [_slices(browser, page, hosts) for _ in range(repeats)]
            leaf_ms = _leaf_ms(browser, page)
            hosts.discard(urlsplit(page).netloc)
        scene = []
        if (Path(__file__).parent / "scene_page.py").is_file():
            with served("scene", workspace.view_dir, folder / "scene.log") as page:
                _scene(browser, page)
                scene = [_scene(browser, page) for _ in range(repeats)]
        browser.close()
    seconds = statistics.median(ours)
    found = [
        Figure(
            bar=f"slices usable after opening <= {USABLE_BAR_S:.0f} s",
            measured=f"{seconds:.2f} s ({min(ours):.2f} to {max(ours):.2f}; next slice: {leaf_ms:.0f} ms)",
            met=seconds <= USABLE_BAR_S,
        ),
        Figure(bar="requests to other hosts: 0", measured=str(len(hosts)), met=not hosts),
    ]
    if scene:
        ratio = seconds / statistics.median(scene)
        found.append(
            Figure(
                bar=f"slices usable, relative to 3D visible <= {RATIO_BAR:.0f} x",
                measured=f"{ratio:.2f} x ({seconds:.2f} s against {statistics.median(scene):.2f} s)",
                met=ratio <= RATIO_BAR,
            )
        )
    return found


def _slices(browser: Browser, address: str, hosts: set[str]) -> float:
    """Seconds from the request of the page until a key has moved the crosshair."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc) if "//" in request.url[:8] else None)
    start = time.monotonic()
    page.goto(address, wait_until="commit")
    root = page.locator(_READY)
    root.wait_for(timeout=LIMIT_MS)
    before = root.get_attribute("data-position")
    root.locator("canvas").first.press("PageDown")
    page.wait_for_function(
        "([root, before]) => root.dataset.position !== before", arg=[root.element_handle(), before], timeout=LIMIT_MS
    )
    seconds = time.monotonic() - start
    context.close()
    return seconds


def _leaf_ms(browser: Browser, address: str) -> float:
    """Median milliseconds per slice."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(address)
    root = page.locator(_READY)
    root.wait_for(timeout=LIMIT_MS)
    taken = root.evaluate(_LEAF_MS, LEAVES)
    context.close()
    return statistics.median(taken)


def _scene(browser: Browser, address: str) -> float:
    """Seconds from the request of the page until the 3D viewer reports that it has drawn."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start = time.monotonic()
    page.goto(address, wait_until="commit")
    page.locator('[data-ok3d][data-state="ready"]').wait_for(timeout=LIMIT_MS)
    seconds = time.monotonic() - start
    context.close()
    return seconds

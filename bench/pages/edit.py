"""The edit mode: time from an event of a stroke to the picture that shows it, and the bytes of 50 strokes.

The sample knee, 160 x 384 x 384, and the same knee with 400 x 512 x 512 voxels; brushes of all sizes, in all planes.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bench.pages.chromium import launch
from bench.pages.viewer_site import ROOT, served
from bench.service.figures import Figure
from pipeline.anatomy import NUMBERINGS, Side
from pipeline.grid import Grid
from pipeline.image_io import read_label_map, read_scan
from pipeline.labels import canonical_labels
from pipeline.report.view_slices import write_slices
from pipeline.types import LabelArray, RelaxationMap, Scan, Segmentation

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCAN: Final = ROOT / "samples" / "sample_knee.nii.gz"
LABELS: Final = ROOT / "samples" / "sample_knee_labels.nii.gz"
LARGE: Final = (400, 512, 512)
STROKES: Final = 100
STROKES_SHORT: Final = 20
MEDIAN_BAR_MS: Final = 30.0
MOST_BAR_MS: Final = 60.0
SENT: Final = 50
SENT_BAR_KB: Final = 200
LIMIT_MS: Final = 120_000
BY_CPU: Final = ("--disable-gpu-rasterization", "--disable-gpu-compositing")
"""Without a GPU, the emulated one takes 200 ms to put a page of 1440 x 1000 together, which no user has."""
LONGEST_PX: Final = 40

_WATCH: Final = """canvases => {
  window.taken = [];
  const note = (event) => {
    if (event.buttons !== 1) return;
    requestAnimationFrame(() => setTimeout(() => window.taken.push(performance.now() - event.timeStamp)));
  };
  for (const canvas of canvases) {
    for (const name of ["pointerdown", "pointermove"]) canvas.addEventListener(name, note, { capture: true });
  }
}"""
"""Time from an input event until the frame with the labels that it has changed is submitted."""


@dataclass(frozen=True, kw_only=True)
class Knee:
    """What the slice viewer shows of an analysis."""

    scan: Scan
    segmentation: Segmentation
    side: Side = Side.RIGHT
    t2: RelaxationMap | None = None

    @property
    def alignment(self) -> Knee:
        return self

    @property
    def subregions(self) -> LabelArray:
        return np.zeros_like(self.segmentation.labels)


def sample() -> Knee:
    """The sample knee and its labels."""
    scan = read_scan(SCAN)
    return Knee(scan=scan, segmentation=canonical_labels(read_label_map(LABELS), NUMBERINGS["canonical"]))


def enlarged(knee: Knee, shape: tuple[int, int, int]) -> Knee:
    """The same field of view with other voxels."""
    grid = knee.scan.grid
    factors = [new / old for new, old in zip(shape, grid.shape, strict=True)]
    places = [(np.arange(new) / factor).astype(int) for new, factor in zip(shape, factors, strict=True)]
    larger = Grid(
        shape=shape,
        spacing_mm=tuple(mm / factor for mm, factor in zip(grid.spacing_mm, factors, strict=True)),
        origin_mm=grid.origin_mm,
        direction=grid.direction,
    )
    return Knee(
        scan=Scan(echoes=knee.scan.anatomical[np.ix_(*places)][None], grid=larger),
        segmentation=Segmentation(labels=knee.segmentation.labels[np.ix_(*places)], grid=larger, model_id="sample"),
    )


def figures(*, short: bool) -> list[Figure]:
    """Milliseconds for both sizes, and kilobytes."""
    from playwright.sync_api import sync_playwright

    found = []
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = launch(playwright, *BY_CPU)
        knee = sample()
        for shown in [knee, enlarged(knee, LARGE)]:
            size = " x ".join(str(n) for n in shown.scan.grid.shape)
            folder = Path(scratch) / size
            folder.mkdir()
            write_slices(shown, folder)  # type: ignore[arg-type] # no more of an analysis is needed
            with served("edit", folder, Path(scratch) / "page.log") as address:
                taken, sent = _strokes(browser, address, STROKES_SHORT if short else STROKES)
            found += _figures(size, taken, sent)
        browser.close()
    return found


def _strokes(browser: Browser, address: str, count: int) -> tuple[list[float], int]:
    """Milliseconds from each event to its picture, and the bytes that the first 50 strokes are sent as."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(address)
    page.locator('.slices[data-state="ready"]').wait_for()
    page.get_by_role("button", name="Edit outlines").click()
    page.locator('.slices[data-editing="on"]').wait_for()
    canvases = [page.get_by_label(f"{name} slice. Arrow") for name in ("Sagittal", "Coronal", "Axial")]
    page.evaluate(_WATCH, [canvas.element_handle() for canvas in canvases])
    places = [canvas.bounding_box() for canvas in canvases]
    random = np.random.default_rng(3)
    sent = 0
    for k in range(count):
        canvases[k % 3].press("]" if random.random() < 0.5 else "[")
        if random.random() < 0.3:
            page.keyboard.press("d")
        page.keyboard.press(str(random.integers(1, 8)))
        _stroke(page, places[k % 3], random)
        if k + 1 in (SENT, count) and not sent:
            sent = _sent(page)
    page.wait_for_timeout(500)
    taken: list[float] = page.evaluate("taken")
    context.close()
    return taken, sent


def _stroke(page: Page, box: Any, random: np.random.Generator) -> None:
    """Drag over the knee, which fills the middle of the picture."""
    x, y = (box[side] + box[size] * random.uniform(0.3, 0.7) for side, size in (("x", "width"), ("y", "height")))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(*(v + random.uniform(-LONGEST_PX, LONGEST_PX) for v in (x, y)), steps=4)
    page.mouse.up()


def _sent(page: Page) -> int:
    """Bytes of the request that saves the strokes; the answer is an error, so that they stay."""
    bodies: list[str] = []
    page.route("**/versions", lambda route: (bodies.append(route.request.post_data or ""), route.fulfill(status=503)))
    page.get_by_role("button", name="Save …").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("alert").filter(has_text="503").wait_for()
    page.get_by_role("button", name="Cancel").click()
    return len(bodies[0]) if json.loads(bodies[0])["runs"] else 0


def _figures(size: str, taken: list[float], sent: int) -> list[Figure]:
    median, most = statistics.median(taken), float(np.percentile(taken, 95))
    return [
        Figure(
            bar=f"{size}, stroke to picture: median <= {MEDIAN_BAR_MS:.0f} ms, 95 of 100 <= {MOST_BAR_MS:.0f} ms",
            measured=f"{median:.0f} ms and {most:.0f} ms ({len(taken)} events)",
            met=median <= MEDIAN_BAR_MS and most <= MOST_BAR_MS,
            timed=True,
        ),
        Figure(
            bar=f"{size}, {SENT} strokes are sent as <= {SENT_BAR_KB} kB",
            measured=f"{sent / 1000:.0f} kB",
            met=sent <= SENT_BAR_KB * 1000,
        ),
    ]

"""The slice viewer in a real browser, on the phantom whose voxels are known."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from bench.pages.viewer_site import served
from pipeline.anatomy import TISSUE_COLOURS, Structure, Tissue
from pipeline.planes import axis_order
from pipeline.report.view_slices import write_slices
from pipeline.types import AnalysisResult, RelaxationMap
from tests.support.browser import opened
from tests.support.report_phantom import phantom, stored_otherwise

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PLANES = ("Sagittal", "Coronal", "Axial")
READY = '.slices[data-state="ready"]'


def knee() -> AnalysisResult:
    """The phantom, with permuted and reversed axes and a different T2 in every voxel of cartilage."""
    plain = stored_otherwise(phantom(), (2, 0, 1), (0, 1))
    labels = plain.segmentation.labels
    places = np.arange(labels.size).reshape(labels.shape) % 70 + 10
    t2 = np.where(labels >= Structure.FEMORAL_CARTILAGE, places, np.nan).astype(np.float32)
    return replace(
        plain, t2=RelaxationMap(time_ms=t2, r2=t2 * 0 + 1, method="multi_echo", grid=plain.segmentation.grid)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slices")


@pytest.fixture(scope="module")
def address(browser: Browser, folder: Path) -> Iterator[str]:
    write_slices(knee(), folder / "view")
    with served("slices", folder / "view", folder / "site.log") as url:
        yield url


@pytest.fixture
def tab(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address, timeout_ms=20_000) as tab:
        yield tab


@pytest.fixture
def page(tab: Page, address: str) -> Page:
    return at(tab, address)


def at(tab: Page, address: str) -> Page:
    """The tab with the page of the viewer."""
    tab.goto(address)
    tab.locator(READY).wait_for()
    return tab


def position(root: Locator) -> tuple[int, ...]:
    """Voxel (z, y, x) under the crosshair, after the next frame."""
    root.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return tuple(int(k) for k in str(root.get_attribute("data-position")).split(","))


def canvas(page: Page, plane: str) -> Locator:
    return page.get_by_label(re.compile(f"^{plane} slice\\. Arrow"))


def click(page: Page, plane: str, across: float, down: float) -> tuple[int, ...]:
    """Click at a relative position in a plane's picture; returns the new voxel."""
    box = canvas(page, plane).bounding_box()
    assert box is not None
    canvas(page, plane).click(position={"x": box["width"] * across, "y": box["height"] * down})
    return position(page.locator(READY))


def pixels(page: Page, plane: str) -> np.ndarray:
    """(rows, columns, 3) of a canvas as it is drawn."""
    url = str(canvas(page, plane).evaluate("canvas => canvas.toDataURL('image/png')"))
    with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as drawn:
        return np.asarray(drawn.convert("RGB")).astype(np.int64)


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels with a colour, within rounding."""
    return int((np.abs(picture - np.array(colour)).max(axis=-1) <= 3).sum())


def test_values_under_the_crosshair_are_those_of_the_arrays(page: Page) -> None:
    result = knee()
    root = page.locator(READY)
    page.wait_for_function("root => root.dataset.t2", arg=root.element_handle())  # sub-regions and T2 come later
    found = set()
    places = [("Sagittal", 0.5, y) for y in (0.3, 0.45, 0.56, 0.7)] + [("Axial", x, 0.5) for x in (0.45, 0.5, 0.58)]
    for plane, across, down in [*places, ("Coronal", 0.5, 0.54), ("Coronal", 0.02, 0.02)]:
        at = click(page, plane, across, down)
        label = int(result.segmentation.labels[at])
        found.add(label)
        assert int(root.get_attribute("data-label") or -1) == label
        assert int(root.get_attribute("data-region") or -1) == result.subregions[at]
        intensity = float(root.get_attribute("data-intensity") or "nan")
        assert intensity == pytest.approx(float(result.scan.anatomical[at]), abs=6.0)
        t2 = result.t2.time_ms[at]
        assert root.get_attribute("data-t2") == ("" if np.isnan(t2) else f"{t2:.2f}")
        title = Structure(label).title if label else "none"
        assert page.get_by_label("Under the cross-hair").locator("dd").first.inner_text() == title
    assert len(found) >= 3, "the places that were clicked lie in several structures"


def test_the_picture_shows_the_structure_at_each_position(page: Page) -> None:
    """In filled pictures without lines, the colour shows the tissue of the arrays."""
    labels = knee().segmentation.labels
    for name in ("Cross-hair", "Outlines"):
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_role("slider", name="Fill").fill("100")
    seen: dict[Tissue | None, int] = {}
    for plane in PLANES:
        for across, down in [(x, y) for x in (0.42, 0.5, 0.58) for y in (0.3, 0.5, 0.55, 0.7)]:
            label = int(labels[click(page, plane, across, down)])
            picture = pixels(page, plane)
            row, column = int(down * picture.shape[0]), int(across * picture.shape[1])
            around = picture[row - 2 : row + 3, column - 2 : column + 3]
            tissue = Structure(label).tissue if label else None
            seen[tissue] = seen.get(tissue, 0) + 1
            if tissue is None:
                assert (np.ptp(around, axis=-1) < 15).any(), (plane, across, down)
            else:
                assert near(around, TISSUE_COLOURS[tissue]) > 0, (plane, across, down, label)
    assert seen[Tissue.BONE] > 3
    assert seen[None] > 3
    assert seen[Tissue.CARTILAGE] > 0


def test_directions_on_the_screen_are_those_of_the_body(page: Page) -> None:
    """Anterior is on the left of a sagittal picture, the patient's left on the right of the others."""
    grid = knee().segmentation.grid
    for plane, across, down in (("Sagittal", 1, -2), ("Coronal", 0, -2), ("Axial", 0, 1)):
        for axis, places in ((across, [(0.4, 0.5), (0.6, 0.5)]), (down, [(0.5, 0.3), (0.5, 0.7)])):
            first, second = (grid.to_mm([click(page, plane, *place)])[0] for place in places)
            moved = second - first
            assert np.argmax(np.abs(moved)) == abs(axis)
            assert moved[abs(axis)] * (-1 if axis < 0 else 1) > 5.0


def test_moving_in_one_plane_moves_the_others(page: Page) -> None:
    root = page.locator(READY)
    before = position(root)
    counts = {
        plane: page.get_by_label(f"{plane} plane").locator(".count") for plane in ("Sagittal", "Coronal", "Axial")
    }
    texts = {plane: count.inner_text() for plane, count in counts.items()}
    coronal = pixels(page, "Coronal")
    canvas(page, "Sagittal").press("PageDown")
    after = position(root)
    sagittal, _, axial = axis_order(knee().segmentation.grid)
    assert [after[axis] - before[axis] for axis in range(3)] == [int(axis == sagittal) for axis in range(3)]
    assert counts["Coronal"].inner_text() == texts["Coronal"]
    assert (pixels(page, "Coronal") != coronal).any(), "its cross-hair stands elsewhere"
    click(page, "Sagittal", 0.35, 0.4)
    assert counts["Coronal"].inner_text() != texts["Coronal"]
    assert counts["Axial"].inner_text() != texts["Axial"]
    page.get_by_role("slider", name="Axial slice").fill("30")
    assert position(root)[axial] == 29
    canvas(page, "Axial").hover()
    page.mouse.wheel(0, 100)
    page.wait_for_function(
        "([root, axis]) => root.dataset.position.split(',')[axis] === '30'", arg=[root.element_handle(), axial]
    )


def test_a_hidden_structure_has_no_colour(page: Page) -> None:
    bone, cartilage = TISSUE_COLOURS[Tissue.BONE], TISSUE_COLOURS[Tissue.CARTILAGE]
    root = page.locator(READY)
    page.get_by_label("Cross-hair", exact=True).uncheck()
    position(root)
    assert near(pixels(page, "Sagittal"), bone) > 50
    for name in ("Femur", "Tibia", "Patella"):
        page.get_by_label(name, exact=True).uncheck()
    position(root)
    assert near(pixels(page, "Sagittal"), bone) == 0
    assert near(pixels(page, "Sagittal"), cartilage) > 50
    page.get_by_label("Outlines", exact=True).uncheck()
    page.get_by_role("slider", name="Fill").fill("0")
    position(root)
    picture = pixels(page, "Sagittal")
    assert np.ptp(picture, axis=-1).max() < 15, "only greys are left, and letters in a white that is a little blue"


def test_t2_is_shown_with_its_scale(page: Page) -> None:
    page.get_by_role("radio", name="T2").check()
    page.get_by_text("T2 in ms").wait_for()
    position(page.locator(READY))
    assert (np.ptp(pixels(page, "Sagittal"), axis=-1) > 60).sum() > 300


def test_a_rerun_keeps_the_viewer_unchanged(page: Page) -> None:
    from playwright.sync_api import expect

    asked: list[str] = []
    root = page.locator(READY)
    page.wait_for_function("root => root.dataset.t2", arg=root.element_handle())
    at = click(page, "Sagittal", 0.4, 0.6)
    page.get_by_label("Tibia", exact=True).uncheck()
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("Runs: 2")).to_be_visible()
    assert position(root) == at
    assert root.get_attribute("data-loads") == "1"
    assert not page.get_by_label("Tibia", exact=True).is_checked()
    assert not [url for url in asked if "/view/" in url]


def test_a_picture_can_be_saved(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save picture").click()
    assert re.fullmatch(r"slices_sagittal-\d+_coronal-\d+_axial-\d+\.png", waiting.value.suggested_filename)
    waiting.value.save_as(tmp_path / "picture.png")
    with Image.open(io.BytesIO((tmp_path / "picture.png").read_bytes())) as saved:
        assert saved.width > 800
        assert near(np.asarray(saved.convert("RGB")).astype(np.int64), TISSUE_COLOURS[Tissue.BONE]) > 100


def test_a_narrow_page_shows_one_plane_at_a_time(tab: Page, address: str) -> None:
    tab.set_viewport_size({"width": 390, "height": 900})
    page = at(tab, address)
    assert [canvas(page, plane).is_visible() for plane in PLANES] == [True, False, False]
    page.get_by_role("radio", name="Axial").check()
    assert [canvas(page, plane).is_visible() for plane in PLANES] == [False, False, True]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    position(page.locator(READY))
    assert near(pixels(page, "Axial"), TISSUE_COLOURS[Tissue.CARTILAGE]) > 20


def test_deleted_slices_are_explained(tab: Page, address: str) -> None:
    tab.route("**/view/labels.bin", lambda route: route.fulfill(status=404, json={"detail": "They are gone."}))
    tab.goto(address)
    tab.locator('.slices[data-state="failed"]').wait_for()
    assert tab.get_by_role("status").filter(has_text="They are gone.").is_visible()

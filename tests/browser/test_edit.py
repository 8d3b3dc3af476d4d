"""The edit mode of the slice viewer in a real browser: strokes by mouse, finger and key, kept until they are saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.pages.viewer_site import served
from jobs.intake.version_form import VersionForm
from pipeline.anatomy import Structure
from pipeline.label_runs import with_runs
from pipeline.planes import axis_order
from pipeline.report.view_slices import write_slices
from pipeline.types import AnalysisResult
from tests.support.axe import findings
from tests.support.browser import opened
from tests.support.editor import EDITING, canvas, choose, drag, edit_outlines, place_of, status_says
from tests.support.report_phantom import CENTRES_MM, MIDDLE_MM, phantom, stored_otherwise

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PLANES = ("Sagittal", "Coronal", "Axial")
VERSION = {"id": "3f0c", "version": 2}
HOLE_MM = 5.0
TRUTH = stored_otherwise(phantom(), (2, 0, 1), (0, 1))
"""Permuted and reversed axes, 0.8 x 2.1 x 0.9 mm, oblique."""
GRID = TRUTH.segmentation.grid


def from_mm(place: np.ndarray) -> np.ndarray:
    """Distance (mm) of every voxel from a place in LPS mm."""
    voxels = np.indices(GRID.shape).reshape(3, -1).T
    distances: np.ndarray = np.linalg.norm(GRID.to_mm(voxels) - place, axis=1).reshape(GRID.shape)
    return distances


FEMUR_MM = MIDDLE_MM + CENTRES_MM[Structure.FEMUR]
HOLE = from_mm(FEMUR_MM) <= HOLE_MM
HOLE_VOXEL = tuple(int(k) for k in np.unravel_index(from_mm(FEMUR_MM).argmin(), GRID.shape))


def knee() -> AnalysisResult:
    """The phantom with a hole of 1 cm in the outline of the femur, which its scan does not have."""
    labels = np.where(HOLE, 0, TRUTH.segmentation.labels).astype(np.uint8)
    return replace(TRUTH, segmentation=replace(TRUTH.segmentation, labels=labels))


LABELS = knee().segmentation.labels


@pytest.fixture(scope="module")
def address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("edit")
    write_slices(knee(), folder / "view")
    with served("edit", folder / "view", folder / "site.log") as url:
        yield url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A tab in the edit mode."""
    with opened(browser, address) as tab:
        begin(tab, address)
        yield tab


def begin(tab: Page, address: str) -> None:
    tab.goto(address)
    edit_outlines(tab)


def go_to(page: Page, voxel: tuple[int, ...]) -> None:
    """Move the cross-hair by the sliders."""
    for plane, axis in zip(PLANES, axis_order(GRID), strict=True):
        page.get_by_role("slider", name=f"{plane} slice").fill(str(voxel[axis] + 1))


def saved(page: Page, **answer: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Save, and answer as the server would; the labels with the change that was sent, and the request."""
    bodies: list[dict[str, Any]] = []

    def reply(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(**({"status": 201, "json": VERSION} | answer))

    page.route("**/api/jobs/bench/versions", reply)
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Save", exact=True).click()
    while not bodies:
        page.wait_for_timeout(20)
    page.unroute("**/api/jobs/bench/versions")
    return with_runs(LABELS, VersionForm.model_validate(bodies[0]).packed), bodies[0]


def test_keys_alone_paint_lock_undo_and_save(page: Page) -> None:
    """A ball of 8 mm on the cross-hair, only over background and cartilage untouched: the voxels are those of numpy."""
    canvas(page, "Coronal").focus()
    go_to(page, HOLE_VOXEL)
    canvas(page, "Coronal").focus()
    for key in ("8", "d", *"]" * 7):  # the medial meniscus, which was not found; 3 mm becomes 8 mm
        page.keyboard.press(key)
    status_says(page, "Brush 8 mm")
    page.keyboard.press("o")
    status_says(page, "Paints over background")
    page.keyboard.press("Space")
    ball = from_mm(GRID.to_mm([HOLE_VOXEL])[0]) <= 4.0 + 1e-9
    painted = ball & (LABELS == 0)
    count = status_says(page, r"Brush: ([\d,]+) voxels? \([\d.]+ ml\) added to Medial meniscus")
    assert int(count[1].replace(",", "")) == painted.sum() > 50
    page.keyboard.press("Control+z")
    status_says(page, "Undone: Brush.*0 in force")
    page.keyboard.press("Control+Shift+z")
    status_says(page, "Redone: Brush")
    labels, request = saved(page)
    assert (labels == np.where(painted, Structure.MEDIAL_MENISCUS, LABELS)).all()
    assert request["newest"] == 1
    page.get_by_text("Saved: 3f0c").wait_for()


def test_a_drag_paints_one_slice_and_the_eraser_takes_it_away(page: Page) -> None:
    choose(page, structure="Patella")
    drag(page, "Sagittal", (0.3, 0.2), (0.4, 0.25), (0.35, 0.4))
    status_says(page, "Brush: .* added to Patella")
    labels, _ = saved(page, status=503, json={"detail": "The queue is full.", "hint": "Wait."})
    problem = "The queue is full. Wait. Your edits are kept in this browser."
    page.get_by_role("alert").filter(has_text=problem).wait_for()
    page.get_by_role("button", name="Cancel").click()
    changed = np.argwhere(labels != LABELS)
    assert len(changed) > 30
    assert np.ptp(changed, axis=0)[axis_order(GRID)[0]] == 0
    assert (labels[labels != LABELS] == Structure.PATELLA).all()
    page.keyboard.press("e")
    for _ in range(6):
        page.keyboard.press("]")
    drag(page, "Sagittal", (0.3, 0.2), (0.4, 0.25), (0.35, 0.4))
    status_says(page, f"Eraser: {len(changed):,} voxels .* removed from Patella")


def test_strokes_survive_a_reload_and_can_be_discarded(page: Page) -> None:
    drag(page, "Sagittal", (0.3, 0.3), (0.4, 0.4))
    first = status_says(page, r"Brush: ([\d,]+) voxels")[0]
    drag(page, "Axial", (0.3, 0.3), (0.3, 0.4))
    page.keyboard.press("Control+z")
    status_says(page, "1 in force")
    page.reload()
    page.locator(EDITING).wait_for()
    page.get_by_text(re.compile("Unsaved edits of .* restored")).wait_for()
    canvas(page, "Axial").focus()
    page.keyboard.press("Control+Shift+z")
    status_says(page, "2 in force")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert first.split(": ")[1] in status_says(page, "Undone: Brush.*0 in force").string
    page.keyboard.press("Control+Shift+z")
    page.get_by_role("button", name="Discard").click()
    status_says(page, "1 edit discarded")
    page.reload()
    page.get_by_role("button", name="Edit outlines", exact=True).wait_for()
    assert page.locator(EDITING).count() == 0


def test_a_second_tab_takes_over_after_a_notice_without_losing_a_stroke(page: Page, address: str) -> None:
    drag(page, "Sagittal", (0.3, 0.3), (0.4, 0.4))
    line = status_says(page, r"Brush: ([\d,]+) voxels")[0]
    other = page.context.new_page()
    other.goto(address)
    other.get_by_text("Another tab of this browser edits these outlines").wait_for()
    other.get_by_role("button", name="Edit here instead").click()
    other.locator(EDITING).wait_for()
    page.get_by_text("Another tab of this browser edits these outlines").wait_for()
    assert page.locator(EDITING).count() == 0
    other.keyboard.press("Control+z")
    assert line.split(": ")[1] in status_says(other, "Undone: Brush.*0 in force").string
    other.close()
    page.get_by_role("button", name="Edit here instead").click()
    page.locator(EDITING).wait_for()
    page.keyboard.press("Control+Shift+z")
    status_says(page, "Redone: Brush")


def test_a_later_version_of_somebody_else_is_never_overwritten_unseen(page: Page) -> None:
    drag(page, "Sagittal", (0.3, 0.3), (0.4, 0.4))
    status_says(page, "Brush")
    others = [{"id": "aa", "version": 1}, {"id": "cc", "version": 3}, {"id": "bb", "version": 2}]
    sent: list[dict[str, Any]] = []

    def reply(route: Route) -> None:
        if route.request.method == "GET":
            route.fulfill(json=others)
            return
        sent.append(route.request.post_data_json)
        refused = {"status": 409, "json": {"detail": "A newer one.", "error_code": "NEWER_VERSION", "hint": ""}}
        route.fulfill(**(refused if sent[-1]["newest"] < 3 else {"status": 201, "json": {"id": "dd", "version": 4}}))

    page.route("**/api/jobs/bench/versions", reply)
    page.keyboard.press("Control+s")
    page.get_by_label("Note (optional)").press_sequentially("Cleared rim")  # letters with a meaning to the page
    page.get_by_label("Initials (optional)").fill("rc")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("alert").filter(has_text="Version 3 of this analysis was saved in the meantime.").wait_for()
    page.get_by_role("button", name="Open the newest").click()
    page.get_by_text("Saved: cc").wait_for()
    assert page.get_by_role("dialog").count() == 0
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Save all the same").click()
    page.get_by_text("Saved: dd").wait_for()
    assert [one["newest"] for one in sent] == [1, 1, 3]
    assert (sent[-1]["note"], sent[-1]["initials"]) == ("Cleared rim", "rc")
    assert page.evaluate("localStorage.getItem('kneebox.initials')") == "rc"
    page.unroute("**/api/jobs/bench/versions")
    page.reload()
    page.get_by_role("button", name="Edit outlines", exact=True).wait_for()


def test_one_click_closes_a_hole_after_the_user_has_seen_it(page: Page) -> None:
    go_to(page, HOLE_VOXEL)
    choose(page, structure="Femur", tool="Click to correct")
    before = canvas(page, "Sagittal").evaluate("canvas => canvas.toDataURL()")
    canvas(page, "Sagittal").focus()
    page.keyboard.press("Space")
    status_says(page, "Click to correct, proposal: .* added to Femur")
    assert canvas(page, "Sagittal").evaluate("canvas => canvas.toDataURL()") != before
    page.keyboard.press("Escape")
    status_says(page, "Rejected")
    assert page.get_by_role("button", name="Undo (Ctrl Z)").is_disabled()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Accept").click()
    status_says(page, "Click to correct: .* added to Femur")
    assert int(page.locator(EDITING).get_attribute("data-click-ms") or "9999") < 1000
    labels, _ = saved(page)
    assert (labels[HOLE] == Structure.FEMUR).mean() > 0.99
    assert (labels[~HOLE] != LABELS[~HOLE]).sum() < 0.02 * HOLE.sum()


def test_a_polygon_by_keys_and_fill_between_slices(page: Page) -> None:
    """A square on two slices, set by its corners at the cross-hair, and the slices between them."""
    sagittal, coronal, axial = axis_order(GRID)
    choose(page, structure="Patella", tool="Lasso")
    start = [n // 4 for n in GRID.shape]
    for slice_ in (4, 9):
        for a, b in ((0, 0), (0, 12), (12, 12), (12, 0)):
            corner = list(start)
            corner[sagittal], corner[coronal], corner[axial] = slice_, start[coronal] + a, start[axial] + b
            go_to(page, tuple(corner))
            canvas(page, "Sagittal").press("Space")
        status_says(page, "Corner 4")
        page.keyboard.press("Enter")
        status_says(page, "Lasso: .* added to Patella")
    page.keyboard.press("f")
    status_says(page, "Fill 4 sagittal slices, proposal: .* added to Patella")
    page.keyboard.press("Enter")
    status_says(page, "Fill between slices: ")
    labels, _ = saved(page)
    gained = (labels == Structure.PATELLA) & (LABELS != Structure.PATELLA)
    filled = np.moveaxis(gained, sagittal, 0)
    counts = filled.sum(axis=(1, 2))
    assert 11 * 11 <= counts[4] <= 13 * 13
    assert (counts[4:10] == counts[4]).all()
    assert counts.sum() == 6 * counts[4]


def test_two_fingers_zoom_and_do_not_paint(page: Page) -> None:
    canvas(page, "Sagittal").scroll_into_view_if_needed()
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def at(across: float) -> tuple[float, float]:
        return place_of(page, "Sagittal", across, 0.5)

    before = canvas(page, "Sagittal").evaluate("canvas => canvas.toDataURL()")
    touch("touchStart", at(0.45))
    touch("touchMove", at(0.44))
    touch("touchStart", at(0.44), at(0.55))
    for k in range(4):
        touch("touchMove", at(0.44 - 0.03 * k), at(0.55 + 0.03 * k))
    touch("touchEnd")
    page.wait_for_timeout(100)
    assert page.get_by_role("button", name="Undo (Ctrl Z)").is_disabled()
    assert canvas(page, "Sagittal").evaluate("canvas => canvas.toDataURL()") != before
    touch("touchStart", at(0.4))
    touch("touchMove", at(0.5))
    touch("touchEnd")
    status_says(page, "Brush: .* added")


def test_the_edit_mode_has_no_serious_finding_and_fits_a_narrow_page(page: Page) -> None:
    drag(page, "Sagittal", (0.3, 0.3), (0.4, 0.4))
    status_says(page, "Brush")
    found = findings(page)
    page.keyboard.press("Control+s")
    page.get_by_role("dialog").wait_for()
    found += findings(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    found += findings(page, colours_alone=True)
    page.keyboard.press("Escape")
    found += findings(page, colours_alone=True)
    assert found == []
    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_role("radio", name="Click to correct").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("Save …", "Undo (Ctrl Z)", "Close"):
        box = page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= 390 - box["width"]

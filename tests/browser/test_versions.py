"""A reader corrects an outline on the page, compares the version with the one before, and takes it back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.axe import by_day_and_night, settled
from tests.support.browser import Product, opened
from tests.support.editor import choose, drag, edit_outlines, status_says
from tests.support.label_maps import coarse_knee
from tests.support.pages import ready

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SAVED_MS = 90_000
"""Measuring again takes some seconds on an idle machine."""


def shown(page: Page, version: int, count: int) -> None:
    """Wait until a version and its figures are on the page."""
    page.get_by_text(f"Version {version} of {count}").wait_for(timeout=SAVED_MS)
    page.get_by_test_id("stMetricValue").nth(3).wait_for(timeout=SAVED_MS)
    settled(page)  # the figures of the version before are shown until then


def figures(page: Page) -> list[str]:
    return [text.strip() for text in page.get_by_test_id("stMetricValue").all_inner_texts()]


def entry(page: Page, version: int, count: int) -> Locator:
    """A version in the list of versions, which is opened first."""
    page.get_by_role("button", name=f"Versions ({count})").click()
    return page.locator(f".st-key-version-{version}")


def test_edit_reload_save_compare_restore_reload(browser: Browser, product: Product) -> None:
    job = product.analyse("knee.nii", coarse_knee()["scan"], coarse_knee()["labels"])
    with opened(browser, product.url) as page:
        page.goto(f"{product.url}/analysis?job={job}")
        page.get_by_test_id("stMetricValue").nth(3).wait_for()
        first = figures(page)
        erase_and_save(page)

        shown(page, 2, 2)
        second = figures(page)
        assert second != first
        changes = page.get_by_test_id("stExpander").filter(has_text="What changed from version 1")
        changes.get_by_text(re.compile(r"^Femoral cartilage: .* removed, Dice 0\.\d{3}$")).wait_for()
        assert changes.get_by_test_id("stDataFrame").locator("td").count() > 5
        assert by_day_and_night(page) == []

        entry(page, 2, 2).get_by_role("link", name="Compare with version 1").click()
        page.wait_for_url(re.compile(r"/compare\?a="))
        page.get_by_role("link", name="knee.nii, version 2").wait_for()
        ready(page, page.locator("[data-ok3d]"))
        page.go_back()
        shown(page, 2, 2)
        row = entry(page, 1, 2)
        assert "Rim cleared" in page.locator(".st-key-version-2").inner_text()
        row.get_by_role("button", name="Make it the newest").click()
        shown(page, 3, 3)
        assert figures(page) == first
        page.reload()
        shown(page, 3, 3)
        assert figures(page) == first
        entry(page, 2, 3).get_by_role("link", name="Open", exact=True).click()
        shown(page, 2, 3)
        assert figures(page) == second


def erase_and_save(page: Page) -> None:
    """Erase femoral cartilage, reload the page in between, and save with a note."""
    page.get_by_role("tab", name="Slices").click()
    ready(page, page.locator("[data-loads][data-position]"))
    edit_outlines(page)
    choose(page, structure="Femoral cartilage", tool="Eraser")
    for key in ("d", *"]" * 12):  # a ball
        page.keyboard.press(key)
    for height in (0.4, 0.5, 0.6):
        drag(page, "Sagittal", (0.1, height), (0.9, height))
    status_says(page, "Eraser: .* removed from Femoral cartilage")
    page.reload()
    page.get_by_role("tab", name="Slices").click()
    page.get_by_text(re.compile("Unsaved edits of .* restored")).wait_for()
    page.get_by_role("button", name="Save …").click()
    page.get_by_label("Note (optional)").fill("Rim cleared")
    page.get_by_label("Initials (optional)").fill("rc")
    page.get_by_role("button", name="Save", exact=True).click()

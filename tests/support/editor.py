"""A user's actions in the edit mode of the slice viewer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

EDITING = '.slices[data-editing="on"]'


def edit_outlines(page: Page) -> None:
    """Enter the edit mode."""
    page.get_by_role("button", name="Edit outlines").click()
    page.locator(EDITING).wait_for()


def canvas(page: Page, plane: str) -> Locator:
    return page.get_by_label(re.compile(f"^{plane} slice\\. Arrow"))


def place_of(page: Page, plane: str, across: float, down: float) -> tuple[float, float]:
    box = canvas(page, plane).bounding_box()
    assert box is not None
    return box["x"] + box["width"] * across, box["y"] + box["height"] * down


def drag(page: Page, plane: str, *places: tuple[float, float]) -> None:
    page.mouse.move(*place_of(page, plane, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place_of(page, plane, *place), steps=4)
    page.mouse.up()


def status_says(page: Page, pattern: str) -> re.Match[str]:
    """Wait for a line in the region that screen readers speak."""
    line = page.get_by_role("status").filter(has_text=re.compile(pattern))
    line.wait_for()
    found = re.search(pattern, line.inner_text())
    assert found
    return found


def choose(page: Page, **labels: str) -> None:
    for name in labels.values():
        page.get_by_role("radio", name=name, exact=True).check()

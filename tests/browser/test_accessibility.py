"""Accessibility of every page for screen readers, keyboard and contrast: axe-core's rules, and Tab order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.axe import by_day_and_night, settled
from tests.support.browser import ANALYSIS_LIMIT_MS, SAMPLE, Product, opened
from tests.support.image_io_writers import make_phantom, write_dicom
from tests.support.pages import drop, ready, zero_image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def waits_for_a_scan(page: Page) -> None:
    """Wait until the drop area is active."""
    page.locator(".upload[data-state=idle]").wait_for()


@pytest.fixture(scope="module")
def failed_job(browser: Browser, product: Product) -> str:
    """The id of an analysis that failed."""
    with opened(browser, product.url) as page:
        page.goto(product.url)
        waits_for_a_scan(page)
        drop(page, "nothing.nii.gz", zero_image())
        page.get_by_role("button", name="Start analysis").click()
        page.get_by_text(re.compile("EMPTY_IMAGE")).wait_for(timeout=ANALYSIS_LIMIT_MS)
        return page.url.rsplit("=", 1)[-1]


@pytest.fixture
def tab(browser: Browser, product: Product) -> Iterator[Page]:
    """An empty browser tab."""
    with opened(browser, product.url) as page:
        yield page


@pytest.mark.parametrize(
    "path",
    ["", "jobs", "methods", "compare", "statistics", "analysis", f"analysis?job={UNKNOWN}"],
    ids=["home", "jobs", "methods", "compare", "statistics", "no address", "unknown"],
)
def test_a_page_that_needs_no_analysis_has_no_serious_finding(tab: Page, product: Product, path: str) -> None:
    tab.goto(f"{product.url}/{path}")
    tab.get_by_role("heading", level=1).first.wait_for()
    assert by_day_and_night(tab) == []


def test_upload_states_have_no_serious_finding(browser: Browser, product: Product, tmp_path: Path) -> None:
    write_dicom(make_phantom(1), tmp_path / "knee" / "a")
    write_dicom(make_phantom(2), tmp_path / "knee" / "b", change=lambda data, *_: setattr(data, "SeriesNumber", "9"))
    found: dict[str, list[str]] = {}
    with opened(browser, product.url) as page:
        page.goto(product.url)
        waits_for_a_scan(page)
        drop(page, "scan.nii.gz", b"this is no image")
        page.locator("[data-part=problem]:not(:empty)").wait_for()
        found["refused"] = by_day_and_night(page)
        page.locator("input[data-part=files]").set_input_files(str(SAMPLE))
        page.get_by_role("button", name="Start analysis").wait_for()
        page.get_by_text("More options").click()
        found["found"] = by_day_and_night(page)
        page.get_by_role("button", name="Choose another scan").click()
        waits_for_a_scan(page)
        page.locator("input[data-part=folder]").set_input_files(str(tmp_path / "knee"))
        page.get_by_text("2 usable series").wait_for()
        found["series"] = by_day_and_night(page)
        page.get_by_role("button", name="Choose another scan").click()
        page.get_by_role("button", name="Choose files").wait_for()
    assert found == {state: [] for state in found}


def test_an_analysis_has_no_serious_finding_in_any_tab(browser: Browser, product: Product, sample_job: str) -> None:
    found: dict[str, list[str]] = {}
    with opened(browser, product.url) as page:
        page.goto(f"{product.url}/analysis?job={sample_job}")
        page.get_by_role("tab", name="3D").wait_for()
        for name in page.get_by_role("tab").all_inner_texts():
            page.get_by_role("tab", name=name, exact=True).click()
            if name == "3D":
                ready(page, page.locator("[data-ok3d]"))
            elif name == "Slices":
                ready(page, page.locator("[data-loads][data-position]"))
            found[name] = by_day_and_night(page)
    assert found == {state: [] for state in found}
    assert len(found) >= 6


def test_a_failure_and_the_list_have_no_serious_finding(browser: Browser, product: Product, failed_job: str) -> None:
    found: dict[str, list[str]] = {}
    with opened(browser, product.url) as page:
        page.goto(product.url)
        page.evaluate("id => localStorage.setItem('kneebox.analyses', JSON.stringify([id]))", failed_job)
        page.goto(f"{product.url}/analysis?job={failed_job}")
        page.get_by_text(re.compile("EMPTY_IMAGE")).wait_for()
        found["failed"] = by_day_and_night(page)
        page.goto(f"{product.url}/jobs")
        page.get_by_role("button", name="Delete").wait_for()
        found["list"] = by_day_and_night(page)
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").wait_for()
        found["dialog"] = by_day_and_night(page)
    assert found == {state: [] for state in found}


FOCUSED = """() => {
  let here = document.activeElement;
  while (here?.shadowRoot?.activeElement) here = here.shadowRoot.activeElement;
  if (!here || here === document.body) return null;
  const seen = (element) => {
    const style = getComputedStyle(element);
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return ring || style.boxShadow !== "none";
  };
  const near = [here, here.parentElement, here.parentElement?.parentElement, here.closest("label")].filter(Boolean);
  const visible = near.some(seen);
  const name = here.getAttribute("aria-label") ?? here.innerText ?? "";
  return { name: name.trim().slice(0, 60), role: here.getAttribute("role") ?? here.tagName.toLowerCase(), visible };
}"""


def walk(page: Page, steps: int) -> list[dict[str, object]]:
    """What gets the focus as Tab is pressed, in order."""
    seen = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        page.wait_for_timeout(60)
        if (here := page.evaluate(FOCUSED)) is not None:
            seen.append(here)
    return seen


def test_tab_reaches_the_ways_in_and_shows_where_it_is(page: Page) -> None:
    page.get_by_role("button", name="Choose files").wait_for()
    seen = walk(settled(page), 13)
    names = [str(item["name"]) for item in seen]
    for wanted in ("My analyses", "Methods", "Choose files", "Choose a DICOM folder", "Try the sample knee"):
        assert any(wanted in name for name in names), (wanted, names)
    assert [item for item in seen if not item["visible"]] == []


def test_tab_and_arrows_reach_the_tabs_and_the_viewers_controls(
    browser: Browser, product: Product, sample_job: str
) -> None:
    with opened(browser, product.url) as page:
        page.goto(f"{product.url}/analysis?job={sample_job}")
        ready(page, page.locator("[data-ok3d]"))
        settled(page)
        page.get_by_role("tab", name="3D").focus()
        seen = walk(page, 30)
        roles = {str(item["role"]) for item in seen}
        assert "application" in roles, seen
        assert {"button", "input"} <= roles, seen
        assert [item for item in seen if not item["visible"]] == []
        page.get_by_role("tab", name="3D").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert page.get_by_role("tab", name="Slices").get_attribute("aria-selected") == "true"
        ready(page, page.locator("[data-loads][data-position]"))
        seen = walk(page, 30)
        assert {"application", "button", "input"} <= {str(item["role"]) for item in seen}, seen
        assert [item for item in seen if not item["visible"]] == []

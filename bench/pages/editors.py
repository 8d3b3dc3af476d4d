"""Memory of the server of the pages while five people edit outlines and save them."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from playwright.sync_api import sync_playwright

from bench.pages.chromium import launch
from bench.pages.product import PageSite, page_site
from bench.pages.upload import Peak
from bench.service.figures import Figure
from bench.service.inside import small_knee
from bench.service.site import SAMPLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PEOPLE: Final = 5
MOST_MB: Final = 50
STROKES: Final = 10
MEGABYTE: Final = 1_000_000


def figures(*, short: bool) -> list[Figure]:
    """On the sample knee; short: on a small one. One reader has opened the same page before, so that all is loaded."""
    with page_site() as site, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        scan = SAMPLE
        if short:
            scan = Path(folder) / "small_knee.nii.gz"
            scan.write_bytes(small_knee())
        site.start_queue()
        site.start_worker()
        pages = site.start_pages()
        job = site.submit(scan, perform_nsm="false")
        site.wait_final(job)
        browser = launch(playwright)
        server = psutil.Process(pages.pid)
        _edits(_opened(browser, site, job))
        before = server.memory_info().rss
        with Peak(server) as peak:
            people = [_opened(browser, site, job) for _ in range(PEOPLE)]
            for page in people:
                _edits(page)
            _saves(people[0])
            people[0].wait_for_timeout(3000)
        browser.close()
    more = (peak.bytes - before) / MEGABYTE
    return [
        Figure(
            bar=f"memory of the server of the pages while {PEOPLE} people edit: at most {MOST_MB} MB more",
            measured=f"{more:.1f} MB more ({before / MEGABYTE:.0f} MB after the first reader)",
            met=more <= MOST_MB,
        )
    ]


def _opened(browser: Browser, site: PageSite, job: str) -> Page:
    """The edit mode in another browser profile."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(180_000)
    page.goto(f"{site.pages_url}/analysis?job={job}")
    page.get_by_role("tab", name="Slices", exact=True).click()
    page.locator("[data-loads][data-position]").wait_for()
    page.get_by_role("button", name="Edit outlines").click()
    page.locator('.slices[data-editing="on"]').wait_for()
    return page


def _edits(page: Page) -> None:
    """Strokes along a slice, by keys."""
    page.get_by_label(re.compile(r"^Sagittal slice\. Arrow")).focus()
    page.keyboard.press("5")
    for _ in range(STROKES):
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
    page.get_by_role("status").filter(has_text=re.compile("Brush|Nothing")).first.wait_for()


def _saves(page: Page) -> None:
    before = page.url
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(lambda url: url != before)

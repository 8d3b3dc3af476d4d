"""A study in a real browser: scans dropped, rows corrected, checked, run, reviewed, and its tables."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_accessibility import by_day_and_night
from tests.support.browser import ANALYSIS_LIMIT_MS, Product, opened
from tests.support.pages import ready
from tests.support.small_study import MANIFEST, write_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STUDY = re.compile(r"/studies\?study=[0-9a-f-]{36}")


def test_a_study_from_dropped_scans_to_its_tables(browser: Browser, product: Product, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    write_study(tmp_path)
    names = []
    for visit in range(2):
        path = (tmp_path / f"v{visit}.nrrd").rename(tmp_path / f"S7_V{visit:02d}_right.nrrd")
        names.append(str(path))
    with opened(browser, product.url) as page:
        page.goto(f"{product.url}/studies")
        expect(page.get_by_role("heading", name="Studies", exact=True)).to_be_visible()
        page.get_by_label("Files of the scans").set_input_files(names)
        expect(page.get_by_text("2 scans. Read as {subject}_{visit}_{side}.")).to_be_visible(timeout=120_000)
        page.get_by_label("Name of the study").fill("Two visits")
        assert by_day_and_night(page) == []
        page.get_by_role("button", name="Check the rows").click()
        page.wait_for_url(STUDY)
        expect(page.get_by_role("heading", name="Two visits")).to_be_visible()
        start = page.get_by_role("button", name="Start")
        expect(start).to_be_visible(timeout=120_000)
        expect(page.get_by_text("2 of 2 rows can be analysed")).to_be_visible()
        assert by_day_and_night(page) == []
        start.click()
        expect(page.get_by_text(re.compile(r"Complete\s*$"))).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
        expect(page.get_by_text(re.compile(r"^2 of 2 rows\s*$"))).to_be_visible()
        page.get_by_role("tab", name="Review").click()
        expect(page.get_by_text("0 of 2 reviewed")).to_be_visible()
        assert by_day_and_night(page) == []
        page.get_by_role("button", name="Start review").click()
        expect(page.get_by_role("heading", name=re.compile("1 of 2: S7"))).to_be_visible()
        assert by_day_and_night(page) == []
        page.keyboard.press("a")
        expect(page.get_by_role("heading", name=re.compile("2 of 2: S7"))).to_be_visible()
        page.keyboard.press("r")
        with page.context.expect_page() as editor:
            page.keyboard.press("e")
        expect(editor.value.locator('.slices[data-editing="on"]')).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
        expect(editor.value.get_by_role("link", name="Back to the study")).to_be_visible()
        editor.value.close()
        page.keyboard.press("Escape")
        expect(page.get_by_text("2 of 2 reviewed: 1 accepted, 0 to be corrected, 1 rejected")).to_be_visible()
        page.get_by_role("tab", name="Charts").click()
        expect(page.get_by_role("heading", name="Each knee over its visits")).to_be_visible()
        assert by_day_and_night(page) == []
        page.get_by_role("tab", name="Maps").click()
        page.get_by_role("button", name="Make the maps").click()
        ready(page, page.locator("[data-ok3d]"))
        assert by_day_and_night(page) == []
        page.get_by_role("tab", name="Tables").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download all tables").click()
        with zipfile.ZipFile(download.value.path()) as packed:
            rows = list(csv.DictReader(io.StringIO(packed.read("rows.csv").decode())))
            changes = list(csv.DictReader(io.StringIO(packed.read("changes.csv").decode())))
        assert [(row["subject"], row["visit"], row["side"], row["state"]) for row in rows] == [
            ("S7", "V00", "right", "analysed"),
            ("S7", "V01", "right", "analysed"),
        ]
        assert {(row["from_visit"], row["to_visit"]) for row in changes} == {("V00", "V01")}
        assert by_day_and_night(page) == []
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="New study")).to_be_visible()
        expect(page.get_by_text("Two visits")).to_be_hidden()


def test_a_manifest_of_files_on_the_server_is_chosen_in_the_browser(browser: Browser, product: Product) -> None:
    from playwright.sync_api import expect

    manifest = write_study(product.studies)
    with opened(browser, product.url) as page:
        page.goto(f"{product.url}/studies")
        page.get_by_role("radio", name="CSV manifest").click()
        page.get_by_label("Manifest file").set_input_files(manifest)
        expect(page.get_by_text(f"{MANIFEST}: 6 rows")).to_be_visible()
        page.get_by_label("Name of the study").fill("From a manifest")
        page.get_by_role("button", name="Check the rows").click()
        page.wait_for_url(STUDY)
        expect(page.get_by_text("3 of 6 rows can be analysed")).to_be_visible(timeout=120_000)
        expect(page.get_by_text("MISSING_FILE")).to_be_visible()

"""A large upload as in bench/pages/upload.py, and uploads that fail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.pages.upload import figures_of_page
from bench.service.uploads import MEGABYTE, padded_scan
from tests.support.browser import ROOT, Product

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_large_file_does_not_pass_through_the_memory_of_the_pages_server(
    page: Page, product: Product, tmp_path: Path
) -> None:
    scan = padded_scan(tmp_path / "knee.zip", 60 * MEGABYTE - 4096)
    figures = figures_of_page(page, product.pages_server(), scan)
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)


def test_an_interrupted_upload_can_be_tried_again(page: Page) -> None:
    from playwright.sync_api import expect

    page.route("**/api/scans", lambda route: route.abort("connectionreset"), times=1)
    page.locator("input[data-part=files]").set_input_files(str(ROOT / "samples" / "sample_knee.nii.gz"))
    expect(page.locator("[data-part=problem]")).to_contain_text("was interrupted")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".st-key-preflight")).to_contain_text("160 × 384 × 384")


def test_a_file_above_the_limit_is_rejected_before_the_transfer(page: Page) -> None:
    from playwright.sync_api import expect

    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.get_by_role("button", name="Choose files").wait_for()
    page.locator(".upload").evaluate("root => { root.dataset.limit = '1000'; }")
    page.locator("input[data-part=files]").set_input_files(str(ROOT / "samples" / "sample_knee.nii.gz"))
    expect(page.locator("[data-part=problem]")).to_contain_text(re.compile("this server takes up to"))
    assert not [url for url in sent if url.endswith("/api/scans")]

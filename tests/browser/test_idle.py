"""The measurement of bench/pages/idle.py in its short form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.pages.idle import figures_of_pages
from bench.service.inside import small_knee
from tests.support.browser import Product

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_an_idle_open_page_has_a_low_cost(browser: Browser, product: Product) -> None:
    job_id = product.submit("small_knee.nii.gz", small_knee())
    server = product.pages_server()
    figures = figures_of_pages(browser, product.url, server.pid, job_id, start=lambda: None, short=True)
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)

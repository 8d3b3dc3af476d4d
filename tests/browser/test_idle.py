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

ROUNDS = 2
"""Other load makes a browser use more processor time for the same work; a page that is not idle uses it every time."""


def test_an_idle_open_page_has_a_low_cost(browser: Browser, product: Product) -> None:
    server = product.pages_server()
    for _ in range(ROUNDS):
        job_id = product.submit("small_knee.nii.gz", small_knee())
        figures = figures_of_pages(browser, product.url, server.pid, job_id, start=lambda: None, short=True)
        if all(figure.met for figure in figures):
            break
        for context in browser.contexts:
            context.close()
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)

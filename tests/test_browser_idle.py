"""The short form of `python -m bench.pages idle`."""

from __future__ import annotations

import pytest
from browser import require_chromium

from bench.pages.idle import figures

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_an_open_page_that_nobody_touches_costs_next_to_nothing() -> None:
    require_chromium()
    for figure in figures(short=True):
        assert figure.met, figure.line()

"""The short form of bench/service/uploads.py."""

from __future__ import annotations

import pytest

from bench.service import uploads


@pytest.mark.slow
@pytest.mark.alone
def test_a_large_upload_stays_within_its_bars() -> None:
    figures = uploads.figures(short=True)
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)

"""The short form of bench/service/uploads.py, without its times."""

from __future__ import annotations

import pytest

from bench.service import uploads


@pytest.mark.slow
def test_a_large_upload_stays_within_its_bars() -> None:
    figures = uploads.figures(short=True)
    assert all(figure.met or figure.timed for figure in figures), "\n".join(figure.line() for figure in figures)

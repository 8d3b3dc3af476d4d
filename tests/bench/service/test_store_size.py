"""The short form of `make bench-service`'s part `store_size`."""

from __future__ import annotations

import pytest

from bench.service.store_size import figures

pytestmark = pytest.mark.slow


def test_thousands_of_finished_jobs_slow_nothing_down() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

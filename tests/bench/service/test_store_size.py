"""The short form of part `store_size` of `make bench-service`."""

from __future__ import annotations

import pytest

from bench.service.store_size import figures

pytestmark = pytest.mark.slow


def test_requests_stay_fast_with_thousands_of_finished_jobs() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

"""The short form of part `workers` of `make bench-service`, without its rate."""

from __future__ import annotations

import pytest

from bench.service.workers import figures

pytestmark = pytest.mark.slow


def test_two_workers_share_the_jobs_and_run_none_twice() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

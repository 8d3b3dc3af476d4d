"""The short form of `make bench-service`'s part `workers`."""

from __future__ import annotations

import pytest

from bench.service.workers import figures

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_two_workers_share_the_work_and_run_nothing_twice() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

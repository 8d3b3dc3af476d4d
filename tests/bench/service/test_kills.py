"""The short form of part `kills` of `make bench-service`."""

from __future__ import annotations

import pytest

from bench.service.kills import figures
from bench.service.site import SAMPLE

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample knee is missing: make sample")
def test_jobs_survive_kills_of_every_process_and_are_published_once() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

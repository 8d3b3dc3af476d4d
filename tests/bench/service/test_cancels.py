"""The short form of part `cancels` of `make bench-service`."""

from __future__ import annotations

import pytest

from bench.service.cancels import figures
from bench.service.site import SAMPLE

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample knee is missing: make sample")
def test_no_cancel_is_lost_and_cancelled_work_stops() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

"""The short form of part `submissions` of `make bench-service`."""

from __future__ import annotations

import pytest

from bench.service.submissions import figures

pytestmark = pytest.mark.slow


def test_a_killed_submission_leaves_no_partial_job() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

"""The short form of `make bench-service`'s part `submissions`."""

from __future__ import annotations

import pytest

from bench.service.submissions import figures

pytestmark = pytest.mark.slow


def test_a_killed_submission_leaves_no_half_of_a_job() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()

"""The short form of bench/service/contract.py."""

from __future__ import annotations

import pytest

from bench.service import contract


@pytest.mark.slow
def test_every_response_is_documented_and_none_is_a_server_error() -> None:
    figures = contract.figures(short=True)
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)

"""The short form of bench/service/slow_clients.py."""

from __future__ import annotations

import pytest

from bench.service import slow_clients


@pytest.mark.slow
def test_slow_clients_are_disconnected_without_affecting_others() -> None:
    figures = slow_clients.figures(short=True)
    assert all(figure.met for figure in figures), "\n".join(figure.line() for figure in figures)

"""The short form of bench/pages/idle.py, in a separate process with a separate browser."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.browser import ROOT, require_chromium

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_an_idle_open_page_has_a_low_cost() -> None:
    require_chromium()
    command = [sys.executable, "-m", "bench.pages", "idle", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

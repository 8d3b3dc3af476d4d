"""Pages of a server that others reach open to those who have a key of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import json, sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=60)
page.switch_page(sys.argv[1])
page.run()
seen = [[item.value for item in page.title]]
for key in sys.argv[2:]:
    page.text_input[0].input(key)
    page.button[0].click().run()
    seen.append([item.value for item in page.title])
print(json.dumps({"titles": seen, "errors": [item.value for item in page.error],
                  "exceptions": [item.message for item in page.exception]}))
"""
EVERYWHERE = "0.0.0.0"  # noqa: S104 -- a setting, nothing is bound
ASKS = ["This server asks for a key"]


def visit(tmp_path: Path, page: str, *keys: str, **environment: str) -> dict[str, Any]:
    """The titles seen on opening a page, and after each key that is typed."""
    settings = {"REDIS_URL": "redis://127.0.0.1:1/0", "DATA_DIR": str(tmp_path)} | environment
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, page, *keys],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert seen["exceptions"] == []
    return seen


def test_others_get_in_with_a_key_and_not_without(tmp_path: Path) -> None:
    keys = {"HOST": EVERYWHERE, "API_KEYS": "the-first-of-two-keys, the-second-of-two-keys"}
    seen = visit(tmp_path, "pages/methods.py", "a-wrong-key", "the-second-of-two-keys", **keys)
    assert seen["titles"] == [ASKS, ASKS, ["Methods"]]


@pytest.mark.parametrize("page", ["app.py", "pages/jobs.py", "pages/analysis.py"])
def test_no_page_shows_anything_without_the_key(tmp_path: Path, page: str) -> None:
    assert visit(tmp_path, page, HOST=EVERYWHERE, API_KEYS="the-first-of-two-keys")["titles"] == [ASKS]


def test_on_ones_own_machine_no_page_asks(tmp_path: Path) -> None:
    assert visit(tmp_path, "pages/methods.py", API_KEYS="the-first-of-two-keys")["titles"] == [["Methods"]]

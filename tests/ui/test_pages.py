"""The pages run by Streamlit in a separate process, without a queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=60)
if sys.argv[1] != "app.py":
    page.switch_page(sys.argv[1])
if len(sys.argv) > 2:
    page.query_params["job"] = sys.argv[2]
page.run()
print(json.dumps({
    "exceptions": [item.message for item in page.exception],
    "titles": [item.value for item in page.title],
    "warnings": [item.value for item in page.warning],
    "buttons": [item.label for item in page.button],
}))
"""


def run_page(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    environment = os.environ | {"REDIS_URL": "redis://127.0.0.1:1/0", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_home_without_a_queue_shows_a_message_and_offers_the_sample(tmp_path: Path) -> None:
    seen = run_page(tmp_path, "app.py")
    assert seen["exceptions"] == []
    assert seen["titles"] == ["Measure a knee MRI"]
    assert "queue is not responding" in seen["warnings"][0]
    assert "Try the sample knee" in seen["buttons"]


def test_an_analysis_without_a_queue_waits_for_it(tmp_path: Path) -> None:
    seen = run_page(tmp_path, "pages/analysis.py", "00000000-0000-4000-8000-000000000000")
    assert seen["exceptions"] == []
    assert "queue is not responding" in seen["warnings"][0]


@pytest.mark.parametrize("page", ["pages/jobs.py", "pages/methods.py", "pages/compare.py"])
def test_the_other_pages_need_no_queue(tmp_path: Path, page: str) -> None:
    seen = run_page(tmp_path, page)
    assert seen["exceptions"] == []
    assert len(seen["titles"]) == 1
    assert seen["warnings"] == [] or page == "pages/methods.py"


def test_statistics_without_a_queue_show_a_message(tmp_path: Path) -> None:
    seen = run_page(tmp_path, "pages/statistics.py")
    assert seen["exceptions"] == []
    assert "queue is not responding" in seen["warnings"][0]

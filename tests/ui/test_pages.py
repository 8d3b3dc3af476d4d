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
JOB = "00000000-0000-4000-8000-000000000000"
PAGES = (
    "app.py",
    *(f"pages/{name}.py" for name in ("analysis", "jobs", "methods", "compare", "statistics", "studies")),
    *(f"pages/{name}.py" for name in ("account", "link")),
)
SCRIPT = """
import json, sys
from streamlit.testing.v1 import AppTest
for path in sys.argv[2:]:
    page = AppTest.from_file("app.py", default_timeout=60)
    if path != "app.py":
        page.switch_page(path)
    if path == "pages/analysis.py":
        page.query_params["job"] = sys.argv[1]
    page.run()
    print(json.dumps({
        "page": path,
        "exceptions": [item.message for item in page.exception],
        "titles": [item.value for item in page.title],
        "warnings": [item.value for item in page.warning],
        "buttons": [item.label for item in page.button],
    }))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each page shows, by its path."""
    environment = os.environ | {"REDIS_URL": "redis://127.0.0.1:1/0", "DATA_DIR": str(tmp_path_factory.mktemp("data"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, JOB, *PAGES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=240,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"page"')]
    assert [page["page"] for page in found] == list(PAGES)
    return {page["page"]: page for page in found}


def test_home_without_a_queue_shows_a_message_and_offers_the_sample(seen: dict[str, dict[str, Any]]) -> None:
    home = seen["app.py"]
    assert home["titles"] == ["Measure a knee MRI"]
    assert "queue is not responding" in home["warnings"][0]
    assert "Try the sample knee" in home["buttons"]


@pytest.mark.parametrize("page", ["pages/analysis.py", "pages/statistics.py"])
def test_a_page_that_reads_jobs_shows_a_message_without_a_queue(seen: dict[str, dict[str, Any]], page: str) -> None:
    assert "queue is not responding" in seen[page]["warnings"][0]


@pytest.mark.parametrize(
    "page", [f"pages/{name}.py" for name in ("jobs", "methods", "compare", "studies", "account", "link")]
)
def test_the_other_pages_need_no_queue(seen: dict[str, dict[str, Any]], page: str) -> None:
    assert len(seen[page]["titles"]) == 1
    assert seen[page]["warnings"] == [] or page == "pages/methods.py"


def test_no_page_raises_without_a_queue(seen: dict[str, dict[str, Any]]) -> None:
    assert [page["exceptions"] for page in seen.values()] == [[]] * len(PAGES)

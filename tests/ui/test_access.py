"""Pages of a publicly reachable server require a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import opened
from tests.support.processes import free_port, running, wait_until
from tests.support.rest_client import answers

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from streamlit.testing.v1 import AppTest
seen = {"titles": [], "exceptions": []}
for path in sys.argv[1:]:
    page = AppTest.from_file("app.py", default_timeout=60)
    page.switch_page(path)
    page.run()
    seen["titles"].append([item.value for item in page.title])
    seen["exceptions"] += [item.message for item in page.exception]
print(json.dumps(seen))
"""
EVERYWHERE = "0.0.0.0"  # noqa: S104 -- a setting, nothing is bound
ASKS = ["This server requires a key"]


def visit(tmp_path: Path, *pages: str, **environment: str) -> dict[str, Any]:
    """The titles seen on opening pages, each in a new session."""
    settings = {"REDIS_URL": "redis://127.0.0.1:1/0", "DATA_DIR": str(tmp_path)} | environment
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *pages],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert seen["exceptions"] == []
    return seen


def test_no_page_shows_anything_without_the_key(tmp_path: Path) -> None:
    pages = ("app.py", "pages/jobs.py", "pages/analysis.py")
    seen = visit(tmp_path, *pages, HOST=EVERYWHERE, API_KEYS="the-first-of-two-keys")
    assert seen["titles"] == [ASKS] * len(pages)


def test_on_a_local_server_no_page_requires_a_key(tmp_path: Path) -> None:
    assert visit(tmp_path, "pages/methods.py", API_KEYS="the-first-of-two-keys")["titles"] == [["Methods"]]


@pytest.mark.browser
def test_a_browser_gets_access_with_a_key_and_keeps_it(browser: Browser, valkey: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    keys = {"HOST": EVERYWHERE, "API_KEYS": "the-first-of-two-keys, the-second-of-two-keys"}
    with running([sys.executable, "web.py"], tmp_path / "web.log", APP_PORT=str(port), REDIS_URL=valkey, **keys):
        wait_until(lambda: answers(f"{url}/_stcore/health"), seconds=60, what="the pages")
        with opened(browser, url) as page:
            page.goto(f"{url}/methods")
            assert page.request.get(f"{url}/api/stats").status == 401
            page.get_by_label("API key").fill("a-wrong-key")
            page.get_by_role("button", name="Open").click()
            expect(page.get_by_text("not one of the keys")).to_be_visible()
            page.get_by_label("API key").fill("the-second-of-two-keys")
            page.get_by_role("button", name="Open").click()
            expect(page.get_by_role("heading", name="Methods")).to_be_visible()
            page.reload()
            expect(page.get_by_role("heading", name="Methods")).to_be_visible()
            assert page.request.get(f"{url}/api/stats").status == 200
        with opened(browser, url) as page:
            page.goto(f"{url}/methods")
            expect(page.get_by_role("heading", name=ASKS[0])).to_be_visible()

"""One port for a browser: pages, REST below /api, scripts below /assets."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from rest.assets import Assets

ASSETS = Path(__file__).resolve().parents[2] / "ui" / "assets"
VERSIONED = next((ASSETS / "vendor").glob("three-*.js")).relative_to(ASSETS).as_posix()


def ask(path: str, **headers: str) -> httpx.Response:
    return TestClient(Starlette(routes=[Mount("/", Assets(ASSETS))])).get(f"/{path}", headers=headers)


def test_versioned_scripts_are_cached_and_ours_are_revalidated() -> None:
    assert "immutable" in ask(VERSIONED).headers["cache-control"]
    assert ask("components/upload.js").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", [VERSIONED, "components/upload.js", "components/upload.css"])
def test_text_is_sent_compressed_and_decompresses_to_the_file(path: str) -> None:
    packed = ask(path, **{"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < (ASSETS / path).stat().st_size
    assert packed.content == (ASSETS / path).read_bytes()
    assert "javascript" in packed.headers["content-type"] or "css" in packed.headers["content-type"]
    assert "content-encoding" not in ask(path, **{"accept-encoding": "identity"}).headers


def test_only_files_in_the_folder_are_served() -> None:
    assert ask("../frame.py").status_code == 404
    assert ask("components/%2e%2e/%2e%2e/frame.py").status_code == 404
    assert ask("icon.png").headers["content-type"] == "image/png"

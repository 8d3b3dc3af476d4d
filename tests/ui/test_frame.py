"""Common parts and restrictions of all pages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE_FILES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
RUNTIMES = ("onnxruntime", "openvino", "torch", "tensorflow", "nnunetv2")


def test_every_page_of_the_navigation_exists() -> None:
    from ui.parts.frame import ANALYSIS, PAGES

    for page in (*PAGES, ANALYSIS):
        assert (ROOT / page.path).is_file(), page.path


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_a_page_is_thin_and_starts_with_the_one_frame(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert text.count("\nstart_page(") == 1
    assert text.count("end_page()") == 1


def test_pages_ask_nothing_of_any_other_host() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showSidebarNavigation"] is False
    for path in [*PAGE_FILES, *(ROOT / "ui").rglob("*.*")]:
        if path.suffix in (".py", ".css", ".svg", ".toml"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text, path.name
            assert "https://" not in text.replace('placeholder="https://.../analysis?job=..."', ""), path.name


@pytest.mark.slow
def test_the_pages_never_import_an_inference_runtime() -> None:
    modules = [f"ui.{path.stem}" for path in sorted((ROOT / "ui").glob("*.py")) if path.stem != "__init__"]
    code = (
        f"import sys, importlib\n"
        f"[importlib.import_module(name) for name in {modules!r} + ['jobs.service', 'jobs.settings']]\n"
        f"loaded = [name for name in {RUNTIMES!r} if name in sys.modules]\n"
        f"sys.exit(','.join(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-500:]

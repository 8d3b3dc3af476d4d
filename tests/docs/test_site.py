"""The documentation site builds without a warning and without the network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REMOTE = re.compile(r"<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=\"(?:https?:)?//", re.IGNORECASE)
PAGES = (
    "index",
    "tutorial",
    "methods",
    "benchmarks",
    "glossary",
    "operating",
    "changelog",
    "contributing",
    "security",
    "api/index",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Every warning is an error, as in `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n"]
    built = subprocess.run(
        [*command, "-d", folder / "doctrees", ROOT / "docs", folder / "html"],
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_site_has_the_page(site: Path, page: str) -> None:
    assert (site / f"{page}.html").is_file()


@pytest.mark.slow
def test_every_decision_has_a_page(site: Path) -> None:
    notes = {path.stem for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    assert notes == {path.stem for path in (site / "decisions").glob("[0-9]*.html")}


@pytest.mark.slow
def test_the_reference_documents_functions_with_their_shapes(site: Path) -> None:
    page = (site / "api" / "generated" / "pipeline.thickness.html").read_text(encoding="utf-8")
    assert 'id="pipeline.thickness.thickness_maps"' in page
    assert "(n,)" in page


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    assert not {page.name for page in pages if REMOTE.search(page.read_text(encoding="utf-8"))}

"""The recipes of CONTRIBUTING.md, executed: their blocks are applied to a copy of the tree, then the result is checked.

A block of a recipe names its file after the language: `python file=PATH` is a whole new file, `diff file=PATH` shows
lines of an existing one with `+` and `-`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.support.recipes import apply, follow

pytestmark = pytest.mark.slow


def test_an_added_page_is_in_the_navigation_and_opens(tmp_path: Path) -> None:
    checkout = follow("Add a page", tmp_path)
    page = checkout.page("pages/glossary.py")
    assert page["exceptions"] == []
    assert page["links"][-1] == "Glossary"
    assert "smallest detectable change" in page["text"]
    checkout.run_tests("tests/ui/test_frame.py")


def test_an_added_export_is_in_the_zip_and_in_its_readme(tmp_path: Path) -> None:
    checkout = follow("Add an export", tmp_path)
    checkout.run_check()
    with zipfile.ZipFile(next((tmp_path / "results").glob("*.zip"))) as archive:
        table = archive.read("knee_results/surfaces/femur.csv").decode().splitlines()
        readme = archive.read("knee_results/README.txt").decode()
    assert table[0] == "x,y,z,thickness_mm,region"
    assert len(table) > 10_000
    assert "surfaces/{bone}.csv" in readme
    checkout.run_tests("tests/repository/test_reference_tables.py")


def test_a_recipe_that_no_longer_fits_the_tree_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "frame.py"
    path.write_text("A = 1\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="0 places"):
        apply("diff", path, " B = 2\n+C = 3\n")

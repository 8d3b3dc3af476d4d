"""The recipes of CONTRIBUTING.md, executed: their blocks are applied to a copy of the tree, then the result is checked.

A block of a recipe names its file after the language: `python file=PATH` is a whole new file, `diff file=PATH` shows
lines of an existing one with `+` and `-`.
"""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest

from pipeline.anatomy import TABLE_ORDER
from tests.support.examples import means, run
from tests.support.recipes import ROOT, Checkout, apply, follow

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "examples" / "thickness_map.ipynb"
REGIONS = {region.name for region in TABLE_ORDER}
THICKNESS = ("femoral_cartilage", "ThC", "union", "mean")


def test_an_added_page_is_in_the_navigation_and_opens(tmp_path: Path) -> None:
    checkout = follow("Add a page", tmp_path)
    page = checkout.page("pages/glossary.py")
    assert page["exceptions"] == []
    assert page["links"][-1] == "Glossary"
    assert "smallest detectable change" in page["text"]
    checkout.run_tests("tests/ui/test_frame.py")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The tree with an added export, after the analysis of the sample's label map that the recipe ends with."""
    checkout = follow("Add an export", tmp_path_factory.mktemp("export"))
    checkout.run_check()
    return checkout


def test_an_added_export_is_in_the_zip_and_in_its_readme(export: Checkout) -> None:
    with zipfile.ZipFile(next((export.root / "results").glob("*.zip"))) as archive:
        table = archive.read("knee_results/surfaces/femur.csv").decode().splitlines()
        readme = archive.read("knee_results/README.txt").decode()
    assert table[0] == "x,y,z,thickness_mm,region"
    assert len(table) > 10_000
    assert "surfaces/{bone}.csv" in readme
    export.run_tests("tests/repository/test_reference_tables.py")


def test_the_notebook_of_the_examples_prints_the_numbers_of_the_whole_analysis(
    export: Checkout, tmp_path: Path
) -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells)
    (tmp_path / "notebook.py").write_text(
        f"import os\nos.chdir({str(NOTEBOOK.parent)!r})\n{program}\n", encoding="utf-8"
    )
    with (export.root / "results" / "results.csv").open(newline="", encoding="utf-8") as stream:
        whole = {
            row["region"]: round(float(row["value"]), 2)
            for row in csv.DictReader(stream)
            if (row["structure"], row["quantity"], row["method"], row["statistic"]) == THICKNESS
            and row["region"] in REGIONS
            and row["value"]
        }
    assert means(run(tmp_path, "notebook.py")) == whole


def test_a_recipe_that_no_longer_fits_the_tree_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "frame.py"
    path.write_text("A = 1\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="0 places"):
        apply("diff", path, " B = 2\n+C = 3\n")

"""The script runs as it is published. The notebook is run by tests/repository/test_recipes.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.examples import means, run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "thickness_map.py"
NOTEBOOK = json.loads(SCRIPT.with_suffix(".ipynb").read_text(encoding="utf-8"))


def test_the_script_measures_the_sample_and_writes_a_picture(tmp_path: Path) -> None:
    printed = run(tmp_path, SCRIPT, "--output", "map.png")
    assert "right knee" in printed
    assert {"anterior", "medial_posterior", "medial", "lateral", "all"} <= means(printed).keys()
    assert all(1.0 < value < 3.5 for value in means(printed).values())
    with Image.open(tmp_path / "map.png") as picture:
        colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colours) > 200, "the picture shows no colour scale"


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)

"""The examples run as they are published, and their numbers agree with those of the whole analysis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "thickness_map.py"
NOTEBOOK = json.loads(SCRIPT.with_suffix(".ipynb").read_text(encoding="utf-8"))


def run(folder: Path, *arguments: str | Path) -> str:
    """Run Python in a folder; -> standard output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def means(text: str) -> dict[str, float]:
    """Region -> mean thickness in mm, from what an example prints."""
    return {match[1]: float(match[2]) for match in re.finditer(r"(\w+) +(\d+\.\d\d) mm$", text, re.MULTILINE)}


def test_the_script_measures_the_sample_and_writes_a_picture(tmp_path: Path) -> None:
    printed = run(tmp_path, SCRIPT, "--output", "map.png")
    assert "right knee" in printed
    assert {"anterior", "medial_posterior", "medial", "lateral", "all"} <= means(printed).keys()
    assert all(1.0 < value < 3.5 for value in means(printed).values())
    with Image.open(tmp_path / "map.png") as picture:
        colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colours) > 200, "the picture shows no colour scale"


def test_the_script_and_the_notebook_and_the_command_line_agree(tmp_path: Path) -> None:
    program = "\n\n".join("".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code")
    (tmp_path / "notebook.py").write_text(f"import os\nos.chdir({str(ROOT / 'examples')!r})\n{program}\n")
    in_notebook = means(run(tmp_path, "notebook.py"))
    labels = ROOT / "samples" / "sample_knee_labels.nii.gz"
    in_table = run(ROOT, "-m", "pipeline", "--no-nsm", "--labels", labels, tmp_path / "results")
    rows = (tmp_path / "results" / "results.csv").read_text(encoding="utf-8")
    found = re.findall(r"ThC,union,femoral_cartilage,(\w+),mean,([\d.]+),mm", rows)
    assert in_notebook == {region: round(float(value), 2) for region, value in found}, in_table


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)

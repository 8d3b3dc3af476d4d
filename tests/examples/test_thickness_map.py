"""The examples run as they are published, and their numbers agree with those of the whole analysis."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.options import AnalysisOptions
from pipeline.products import MEASUREMENTS
from pipeline.progress import Progress
from pipeline.run import run_analysis
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace

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


def measured(workspace: Workspace) -> dict[str, float]:
    """Region -> mean thickness in mm of the femoral cartilage of the sample, from the analysis up to its report."""

    class Measured(Exception):
        pass

    def stop_at_the_report(progress: Progress) -> None:
        if progress.name == "report":
            raise Measured

    workspace.create()
    request = Request(input_name="sample", labels=str(ROOT / "samples" / "sample_knee_labels.nii.gz"))
    with contextlib.suppress(Measured):
        run_analysis(workspace, AnalysisOptions(perform_nsm=False), Resources(), request, stop_at_the_report)
    return {
        row.region: round(row.value, 2)
        for row in MEASUREMENTS.load(workspace)
        if (row.quantity, row.method, row.statistic) == ("ThC", "union", "mean")
        and row.structure == "femoral_cartilage"
        and row.value is not None
    }


def test_the_notebook_and_the_analysis_agree(tmp_path: Path) -> None:
    program = "\n\n".join("".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code")
    (tmp_path / "notebook.py").write_text(f"import os\nos.chdir({str(ROOT / 'examples')!r})\n{program}\n")
    assert means(run(tmp_path, "notebook.py")) == measured(Workspace(tmp_path / "job"))


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)

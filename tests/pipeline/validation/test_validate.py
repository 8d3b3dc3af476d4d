"""The command `validate` on a small set: figures, report, resumption after a kill."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.command_line.commands import main
from pipeline.options import DEFAULT_MODEL
from pipeline.segmentation.registry import model
from pipeline.types import Resources
from pipeline.validation.case import RESULT
from pipeline.validation.files import CASES, MEASURES, OUTLINES, REPORT, SUMMARY
from pipeline.validation.record import validations_of
from tests.support.labelled_sets import zib_set

ROOT = Path(__file__).resolve().parents[3]
COUNT = 3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A set whose validation was killed after its first case, and then finished."""
    root = tmp_path_factory.mktemp("validate")
    scans, labels = zib_set(root / "OAIZIB-CM", COUNT)
    (root / "models").mkdir()
    words = [str(scans), str(labels), "--output", str(root / "out"), "--models-dir", str(root / "models")]
    call = [sys.executable, "-m", "pipeline.validation", *words, "--processes", "1"]
    process = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not finished(root) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = finished(root)
    assert len(first) in (1, 2), "killed too late, or nothing was finished"
    made = {path: path.stat().st_mtime_ns for path in first}
    assert main(["validate", *words, "--processes", "2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in first} == made, "a finished case was computed again"
    return root


def finished(root: Path) -> list[Path]:
    return sorted(root.glob(f"out/*/*/{CASES}/*/{RESULT}"))


def results(root: Path) -> Path:
    return root / "out" / "OAIZIB-CM" / DEFAULT_MODEL


def test_a_killed_validation_continues_with_the_missing_cases(folder: Path) -> None:
    assert len(finished(folder)) == COUNT
    assert not list(folder.glob(f"out/*/*/{CASES}/*/work")), "files of the killed case remain"


def test_every_case_is_in_the_tables(folder: Path) -> None:
    for name in (OUTLINES, MEASURES):
        with (results(folder) / name).open(newline="") as stream:
            assert {row["case"] for row in csv.DictReader(stream)} == {f"oaizib_{n:03d}" for n in range(1, COUNT + 1)}
    with (results(folder) / SUMMARY).open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["figure"] == "n"]
    assert {row["value"] for row in rows} == {str(COUNT)}


def test_the_report_is_self_contained(folder: Path) -> None:
    page = (results(folder) / REPORT).read_text(encoding="utf-8")
    assert page.count("plotly.js v") == 1
    assert "data:image/png;base64," in page
    assert "<script src=" not in page
    assert "<link" not in page


def test_figures_beside_the_weights_hold_for_these_weights(folder: Path) -> None:
    resources = Resources(models_dir=folder / "models")
    (found,) = validations_of(DEFAULT_MODEL, resources)
    assert (found.set_name, found.layout, found.cases, found.refused) == ("OAIZIB-CM", "OAI-ZIB-CM", COUNT, 0)
    assert found.holds_for(model(DEFAULT_MODEL, resources).identity())
    assert json.loads((results(folder) / "OAIZIB-CM.json").read_text()) == found.to_dict()
    assert found.structures["femur"].dice > 0.9, "the sample knee in 3 mm voxels"


def test_a_wrong_numbering_gives_no_figures(folder: Path, capsys) -> None:
    sets = [str(folder / "OAIZIB-CM" / name) for name in ("imagesTr", "labelsTr")]
    words = ["--output", str(folder / "wrong"), "--numbering", "pymskt", "--processes", "1"]
    assert main(["validate", *sets, *words]) == 1
    assert "contradicts the numbering" in capsys.readouterr().err
    assert not list((folder / "wrong").rglob(REPORT))

"""A segmentation model is one module and one card: the recipe of CONTRIBUTING.md, followed in a copy of the tree."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from tests.support.recipes import follow

pytestmark = pytest.mark.slow

SERVICE = """
import json
from jobs.intake.form import UploadForm, parse_form
from jobs.service import models
chosen, _ = parse_form({"segmentation_model": "sample_atlas"})
print(json.dumps({
    "chosen": chosen.segmentation_model,
    "schema": UploadForm.model_json_schema()["properties"]["segmentation_model"]["enum"],
    "models": {model.card.id: [model.card.title, model.availability.available] for model in models()},
}))
"""

FORM = """
import json
from streamlit.testing.v1 import AppTest
page = "from jobs import service; from ui.home import options_form; options_form.draw_options(service.models())"
drawn = AppTest.from_string(page, default_timeout=60).run()
assert not drawn.exception, drawn.exception
print(json.dumps(drawn.selectbox[0].options))
"""

CUT_SHORT = """
import sys
from pathlib import Path
from pipeline.options import AnalysisOptions
from pipeline.run import run_analysis
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace
class Stop(Exception):
    pass
ran = []
def until_segmented(progress):
    if progress.name not in ran:
        ran.append(progress.name)
    if progress.name == "surfaces":
        raise Stop
workspace = Workspace(Path("job"))
workspace.create()
workspace.input_dir.joinpath("knee.nii.gz").write_bytes(Path("samples/sample_knee.nii.gz").read_bytes())
try:
    options = AnalysisOptions(segmentation_model="sample_atlas", perform_nsm=False)
    run_analysis(workspace, options, Resources(), Request(input_name="k", scan="knee.nii.gz"), until_segmented)
except Stop:
    print(*ran)
"""


def test_an_added_model_is_in_the_form_the_command_line_rest_and_methods(tmp_path: Path) -> None:
    checkout = follow("Add a segmentation model", tmp_path)
    assert "sample_atlas" in checkout.python("-m", "pipeline", "--help")
    listed = json.loads(checkout.python("-m", "pipeline", "models", "--json"))
    assert [entry["state"] for entry in listed if entry["id"] == "sample_atlas"] == ["ready"]
    checkout.run_check()
    provenance = json.loads((tmp_path / "results" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["model"]["identity"]["id"] == "sample_atlas"
    assert provenance["model"]["title"] == "Sample atlas"
    with (tmp_path / "results" / "results.csv").open(encoding="utf-8", newline="") as table:
        assert any(row["structure"] == "femoral_cartilage" and float(row["value"]) > 1 for row in csv.DictReader(table))
    service = json.loads(checkout.python("-c", SERVICE).splitlines()[-1])
    assert service["chosen"] == "sample_atlas"
    assert service["schema"][-1] == "sample_atlas"
    assert service["models"]["sample_atlas"] == ["Sample atlas", True]
    assert "Sample atlas" in json.loads(checkout.python("-c", FORM).splitlines()[-1])
    page = checkout.page("pages/methods.py")
    assert page["exceptions"] == []
    assert "Sample atlas" in page["text"]


def test_with_other_weights_a_resumed_analysis_segments_again(tmp_path: Path) -> None:
    checkout = follow("Add a segmentation model", tmp_path)
    assert checkout.python("-c", CUT_SHORT).split() == ["read_scan", "segment", "surfaces"]
    assert checkout.python("-c", CUT_SHORT).split() == ["surfaces"], "the outlines were kept"
    card, weights = (tmp_path / "models" / "sample_atlas" / name for name in ("card.json", "other.nii.gz"))
    labels = gzip.decompress((tmp_path / "samples" / "sample_knee_labels.nii.gz").read_bytes())
    weights.write_bytes(gzip.compress(labels, compresslevel=1))
    content = json.loads(card.read_text(encoding="utf-8"))
    content |= {"weights": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    card.write_text(json.dumps(content), encoding="utf-8")
    assert checkout.python("-c", CUT_SHORT).split() == ["segment", "surfaces"]

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

SHOWN = """
import contextlib, io, json
from streamlit.testing.v1 import AppTest
from jobs.intake.form import UploadForm, parse_form
from jobs.service import models
from pipeline.command_line.commands import main

def printed(*arguments):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main(list(arguments))
    return output.getvalue()

FORM = "from jobs import service; from ui.home import options_form; options_form.draw_options(service.models())"
form = AppTest.from_string(FORM, default_timeout=60).run()
methods = AppTest.from_file("app.py", default_timeout=60)
methods.switch_page("pages/methods.py")
methods.run()
print(json.dumps({
    "help": printed("--help"),
    "listed": json.loads(printed("models", "--json")),
    "chosen": parse_form({"segmentation_model": "sample_atlas"}).options.segmentation_model,
    "schema": UploadForm.model_json_schema()["properties"]["segmentation_model"]["enum"],
    "models": {model.card.id: [model.card.title, model.availability.available] for model in models()},
    "form": form.selectbox[0].options,
    "methods": "\\n".join(item.proto.body for kind in ("markdown", "html") for item in methods.get(kind)),
    "exceptions": [item.message for page in (form, methods) for item in page.exception],
}))
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
def steps_until_segmented():
    ran = []
    def report(progress):
        if progress.name not in ran:
            ran.append(progress.name)
        if progress.name == "surfaces":
            raise Stop
    options = AnalysisOptions(segmentation_model="sample_atlas", perform_nsm=False)
    try:
        run_analysis(workspace, options, Resources(), Request(input_name="k", scan="knee.nii.gz"), report)
    except Stop:
        return ran
workspace = Workspace(Path("job"))
workspace.create()
workspace.input_dir.joinpath("knee.nii.gz").write_bytes(Path("samples/sample_knee.nii.gz").read_bytes())
for _ in range(int(sys.argv[1])):
    print(*steps_until_segmented())
"""


def test_an_added_model_is_in_the_form_the_command_line_rest_and_methods(tmp_path: Path) -> None:
    checkout = follow("Add a segmentation model", tmp_path)
    checkout.run_check()
    provenance = json.loads((tmp_path / "results" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["model"]["identity"]["id"] == "sample_atlas"
    assert provenance["model"]["title"] == "Sample atlas"
    with (tmp_path / "results" / "results.csv").open(encoding="utf-8", newline="") as table:
        assert any(row["structure"] == "femoral_cartilage" and float(row["value"]) > 1 for row in csv.DictReader(table))
    shown = json.loads(checkout.python("-c", SHOWN).splitlines()[-1])
    assert shown["exceptions"] == []
    assert "sample_atlas" in shown["help"]
    assert [entry["state"] for entry in shown["listed"] if entry["id"] == "sample_atlas"] == ["ready"]
    assert shown["chosen"] == "sample_atlas"
    assert shown["schema"][-1] == "sample_atlas"
    assert shown["models"]["sample_atlas"] == ["Sample atlas", True]
    assert "Sample atlas" in shown["form"]
    assert "Sample atlas" in shown["methods"]


def test_with_other_weights_a_resumed_analysis_segments_again(tmp_path: Path) -> None:
    checkout = follow("Add a segmentation model", tmp_path)
    first, second = checkout.python("-c", CUT_SHORT, "2").splitlines()
    assert first.split() == ["read_scan", "segment", "surfaces"]
    assert second.split() == ["surfaces"], "the outlines were kept"
    card, weights = (tmp_path / "models" / "sample_atlas" / name for name in ("card.json", "other.nii.gz"))
    labels = gzip.decompress((tmp_path / "samples" / "sample_knee_labels.nii.gz").read_bytes())
    weights.write_bytes(gzip.compress(labels, compresslevel=1))
    content = json.loads(card.read_text(encoding="utf-8"))
    content |= {"weights": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    card.write_text(json.dumps(content), encoding="utf-8")
    assert checkout.python("-c", CUT_SHORT, "1").split() == ["segment", "surfaces"]

"""The orchestrator: a label map through every step, resumed, interrupted, and with bad input."""

import csv
import json
import shutil
import zipfile
from functools import partial

import nibabel as nib
import numpy as np
import pytest

from pipeline.anatomy import SUBREGION_SCHEME, TABLE_ORDER
from pipeline.correction import STEP as CORRECT
from pipeline.errors import EmptyStructure, UnsupportedImage
from pipeline.image_io import read_label_map
from pipeline.options import AnalysisOptions
from pipeline.products import DELIVERY, FLAGS, MEASUREMENTS, SHAPES, THICKNESS
from pipeline.progress import StepState
from pipeline.run import run_analysis
from pipeline.steps import STEPS
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace
from tests.support.knees import coarse_knee
from tests.support.label_maps import write_nrrd


def run(workspace, request, seen=None, **options):
    return run_analysis(
        workspace, AnalysisOptions(**options), Resources(), request, lambda p: seen is not None and seen.append(p)
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with an analysed label map, its summary, and the reported progress."""
    workspace = Workspace(tmp_path_factory.mktemp("job"))
    workspace.create()
    write_nrrd(coarse_knee(), workspace.input_dir / "knee.nrrd")
    seen = []
    summary = run(workspace, Request(input_name="Mary Doe.nrrd", labels="knee.nrrd"), seen)
    return workspace, summary, seen


def rows(workspace):
    with (workspace.files_dir / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def means(workspace):
    return {
        (r["method"], r["structure"], r["region"]): float(r["value"])
        for r in rows(workspace)
        if (r["quantity"], r["statistic"]) == ("ThC", "mean")
    }


def test_every_step_is_done_or_has_a_reason(finished):
    _, summary, _ = finished
    states = {s.name: (s.state, s.reason) for s in summary.steps}
    assert list(states) == [step.name for step in STEPS if step.name != CORRECT], (
        "only a corrected version has that step"
    )
    assert states["read_scan"] == (StepState.SKIPPED, "no scan was given, only a label map")
    assert states["segment"] == (StepState.SKIPPED, "the label map that was given is measured")
    assert states["read_labels"][0] is StepState.DONE
    assert states["shape"] == (StepState.DONE, "")
    assert all(s.reason for s in summary.steps if s.state is not StepState.DONE)
    assert all(s.seconds is not None for s in summary.steps if s.state is StepState.DONE)


def test_progress_increases_monotonically_to_100(finished):
    _, _, seen = finished
    percents = [p.percent for p in seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_thickness_of_the_averaged_knee_scales_with_it(finished):
    """Regional means are in the range of knees, and no region is empty."""
    workspace, _, _ = finished
    found = means(workspace)
    assert len(found) == 2 * len(TABLE_ORDER) + len(SUBREGION_SCHEME.regions)
    for (method, structure, region), value in found.items():
        assert 1.2 < value < 3.6, (method, structure, region)


def test_the_zip_has_the_documented_files_and_not_the_upload_name(finished):
    workspace, summary, _ = finished
    assert summary.archive_name == "Mary Doe_results.zip"
    with zipfile.ZipFile(workspace.archive_path) as archive:
        assert archive.testzip() is None
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        assert not any("Mary Doe" in name for name in archive.namelist())
        for name in archive.namelist():
            assert b"Mary Doe" not in archive.read(name), name
    assert {
        "README.txt",
        "results.csv",
        "results.json",
        "report.html",
        "provenance.json",
        "segmentation/labels.nii.gz",
        "segmentation/labels.nrrd",
        "segmentation/subregions.nii.gz",
        "surfaces/femur.vtp",
        "surfaces/tibia.ply",
        "qc/overlay.png",
        "openmsk/thickness_results.json",
    } <= names


def test_the_manifest_is_written_last(finished):
    workspace, summary, _ = finished
    manifest = json.loads(workspace.manifest_path.read_text())
    assert manifest["archive_bytes"] == workspace.archive_path.stat().st_size == summary.archive_bytes
    assert workspace.manifest_path.stat().st_mtime >= workspace.archive_path.stat().st_mtime


def test_provenance_names_the_source_of_the_labels_and_the_seconds_of_each_step(finished):
    workspace, _, _ = finished
    provenance = json.loads((workspace.files_dir / "provenance.json").read_text())
    model = provenance["model"]
    assert (model["id"], model["source"]) == ("given:canonical", "given")
    assert (model["numbering"], model["numbering_decided_by"]) == ("canonical", "anatomy")
    assert json.loads((workspace.files_dir / "results.json").read_text())["segmentation_model"] == model["id"]
    assert {"read_labels", "align", "surfaces", "thickness"} <= set(provenance["seconds"])
    assert len(provenance["input_sha256"]) == 64


def test_a_second_run_repeats_no_step(finished, tmp_path):
    workspace, first, _ = finished
    again = Workspace(tmp_path / "again")
    shutil.copytree(workspace.root, again.root)
    before = {p: p.stat().st_mtime_ns for p in again.work_dir.glob("*.npy")}
    second = run(again, Request(input_name="Mary Doe.nrrd", labels="knee.nrrd"))
    assert {p: p.stat().st_mtime_ns for p in again.work_dir.glob("*.npy")} == before
    assert [s.seconds for s in second.steps] == [s.seconds for s in first.steps]


class Stop(Exception):
    """Somebody cancelled."""


@pytest.mark.slow
def test_a_run_that_is_stopped_and_resumed_repeats_no_step_and_equals_a_fresh_one(finished, tmp_path):
    workspace, first, _ = finished
    stopped = Workspace(tmp_path / "stopped")
    shutil.copytree(workspace.input_dir, stopped.input_dir)
    shutil.copytree(workspace.work_dir, stopped.work_dir)
    for product in (THICKNESS, SHAPES, MEASUREMENTS, FLAGS, DELIVERY):
        product.discard(stopped)
    request = Request(input_name="Mary Doe.nrrd", labels="knee.nrrd")

    def stop(progress, at):
        if progress.name == at:
            raise Stop

    for at, missing in (("thickness", THICKNESS), ("measure", MEASUREMENTS), ("shape", DELIVERY)):
        with pytest.raises(Stop):
            run_analysis(stopped, AnalysisOptions(), Resources(), request, partial(stop, at=at))
        assert not missing.exists(stopped)
    summary = run(stopped, request)
    assert (stopped.files_dir / "results.csv").read_bytes() == (workspace.files_dir / "results.csv").read_bytes()
    untouched = {s.name: s.seconds for s in summary.steps if s.name in ("segment", "align", "surfaces")}
    assert untouched == {s.name: s.seconds for s in first.steps if s.name in untouched}


@pytest.mark.slow
def test_a_changed_option_runs_only_what_depends_on_it(finished, tmp_path):
    workspace, first, _ = finished
    changed = Workspace(tmp_path / "changed")
    shutil.copytree(workspace.root, changed.root)
    summary = run(changed, Request(input_name="knee.nrrd", labels="knee.nrrd"), cartilage_smoothing=0.6)
    same = {s.name for s, t in zip(summary.steps, first.steps, strict=True) if s.seconds == t.seconds}
    assert {"segment", "align", "surfaces"} <= same
    assert "thickness" not in same
    before, after = means(workspace), means(changed)
    for key, value in before.items():
        assert (after[key] == value) == (key[0] == "union")


def test_a_retry_works_without_the_upload(finished, tmp_path):
    workspace, _, _ = finished
    retried = Workspace(tmp_path / "retried")
    shutil.copytree(workspace.root, retried.root)
    shutil.rmtree(retried.input_dir)
    THICKNESS.discard(retried)
    run(retried, Request(input_name="Mary Doe.nrrd", labels="knee.nrrd"))
    assert (retried.files_dir / "results.csv").read_bytes() == (workspace.files_dir / "results.csv").read_bytes()


@pytest.mark.slow
def test_exported_nifti_labels_give_the_same_measurements(finished, tmp_path):
    workspace, _, _ = finished
    again = Workspace(tmp_path / "again")
    again.create()
    exported = workspace.files_dir / "segmentation" / "labels.nii.gz"
    assert nib.load(exported).header["sform_code"] > 0
    shutil.copy(exported, again.input_dir / "labels.nii.gz")
    run(again, Request(input_name="labels.nii.gz", labels="labels.nii.gz"), perform_nsm=False)
    here, there = means(workspace), means(again)
    for key, value in here.items():
        assert there[key] == pytest.approx(value, abs=1e-4), key
    exact = read_label_map(workspace.files_dir / "segmentation" / "labels.nrrd")
    assert np.array_equal(exact.labels, coarse_knee().labels)
    assert exact.grid.matches(coarse_knee().grid, tolerance_mm=1e-9)


def only(knee, *labels):
    """The knee with some of its labels."""
    kept = np.where(np.isin(knee.labels, labels), knee.labels, 0).astype(np.uint8)
    return type(knee)(labels=kept, grid=knee.grid, model_id="x")


@pytest.mark.slow
@pytest.mark.parametrize(("bone", "plates"), [(2, (5, 6)), (3, (7,))], ids=["tibia", "patella"])
def test_one_bone_with_its_cartilage_has_the_values_that_it_has_in_the_knee(finished, bone, plates, tmp_path):
    workspace = Workspace(tmp_path / "job")
    workspace.create()
    write_nrrd(only(coarse_knee(), bone, *plates), workspace.input_dir / "knee.nrrd")
    summary = run(workspace, Request(input_name="knee.nrrd", labels="knee.nrrd"), perform_nsm=True)
    whole = means(finished[0])
    alone = {key: value for key, value in means(workspace).items() if value}
    assert alone
    assert alone == {key: whole[key] for key in alone}
    results = json.loads((workspace.files_dir / "results.json").read_text())
    assert results["side"] == "right"
    assert {step.name: step.reason for step in summary.steps}["shape"] == "the label map holds no femur"
    flagged = {flag["structure"] for flag in results["flags"] if flag["code"] == "STRUCTURE_MISSING"}
    assert "femur" in flagged


def test_a_label_map_without_bones_ends_with_a_reason_and_no_results(tmp_path):
    workspace = Workspace(tmp_path / "job")
    workspace.create()
    write_nrrd(only(coarse_knee(), 4, 5, 6, 7), workspace.input_dir / "knee.nrrd")
    with pytest.raises(EmptyStructure, match="No bone was found") as caught:
        run(workspace, Request(input_name="knee.nrrd", labels="knee.nrrd"), numbering="canonical")
    assert caught.value.facts["step"] == "surfaces"
    assert not workspace.manifest_path.exists()


def test_a_wrong_numbering_is_detected(tmp_path):
    workspace = Workspace(tmp_path / "job")
    workspace.create()
    knee = coarse_knee()
    labels = np.where(knee.labels == 7, 9, knee.labels).astype(np.uint8)
    write_nrrd(type(knee)(labels=labels, grid=knee.grid, model_id="x"), workspace.input_dir / "knee.nrrd")
    with pytest.raises(UnsupportedImage, match="numbering 'ski10' does not declare"):
        run(workspace, Request(input_name="knee.nrrd", labels="knee.nrrd"), numbering="ski10")

"""The shape step inside a whole analysis: an installed model of a kind, else the built-in one. The installed model
represents ellipsoids and the phantom is a knee, so the fit is poor, which must be reported, and what is tested
here is what becomes of it.
"""

import json
import shutil

import pytest

from pipeline.options import AnalysisOptions
from pipeline.progress import StepState
from pipeline.run import run_analysis
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace
from tests.support.knees import coarse_knee
from tests.support.label_maps import write_nrrd
from tests.support.shape_model import install

pytestmark = pytest.mark.slow

SCORE = {"bscore_vector": [1.0, 0.0], "mean_healthy": 0.0, "std_healthy": 1.0}
PEER_KEYS = {"latent", "icp_transform", "center", "scale", "assd_bone_mm"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    install(root / "nsm" / "ellipsoids", score=SCORE)
    return root


@pytest.fixture(scope="module")
def finished(tmp_path_factory, models):
    workspace = Workspace(tmp_path_factory.mktemp("job"))
    workspace.create()
    write_nrrd(coarse_knee(), workspace.input_dir / "knee.nrrd")
    return workspace, run(workspace, models, nsm_type="both")


def run(workspace, models, **options):
    request = Request(input_name="knee.nrrd", labels="knee.nrrd")
    return run_analysis(workspace, AnalysisOptions(**options), Resources(models_dir=models), request, lambda _: None)


def state(summary):
    return next((step.state, step.reason) for step in summary.steps if step.name == "shape")


def test_an_installed_model_writes_its_record_with_the_peer_s_keys(finished):
    workspace, summary = finished
    assert state(summary) == (StepState.DONE, "")
    folder = workspace.files_dir / "shape"
    record = json.loads((folder / "NSM_recon_params.json").read_text())
    assert PEER_KEYS | {"assd_cartilage_mm", "model", "kind", "weights_sha256"} <= set(record)
    assert len(record["latent"]) == 2
    assert {path.name for path in folder.iterdir()} == {
        "NSM_recon_params.json",
        *(f"NSM_recon_{part}.{form}" for part in ("femur", "femoral_cartilage") for form in ("vtp", "ply")),
        "NSM_bone_only_recon_params.json",
        *(f"NSM_bone_only_recon_femur.{form}" for form in ("vtp", "ply")),
    }


def test_a_kind_that_is_not_installed_is_fitted_with_the_built_in_model(finished):
    workspace, _ = finished
    record = json.loads((workspace.files_dir / "shape" / "NSM_bone_only_recon_params.json").read_text())
    assert set(record) >= PEER_KEYS
    assert (record["model"], len(record["latent"])) == ("femur_shape", 64)
    assert record["assd_bone_mm"] < 0.45


def test_provenance_names_every_shape_model_with_its_digest(finished):
    workspace, _ = finished
    models = json.loads((workspace.files_dir / "provenance.json").read_text())["shape_models"]
    assert [(model["id"], model["kind"]) for model in models] == [
        ("ellipsoids", "bone_and_cart"),
        ("femur_shape", "bone_only"),
    ]
    assert all(len(model["weights_sha256"]) == 64 for model in models)


def test_a_poor_fit_gives_a_warning_and_no_score(finished):
    workspace, summary = finished
    record = json.loads((workspace.files_dir / "shape" / "NSM_recon_params.json").read_text())
    assert record["assd_bone_mm"] > 2
    assert "Bscore" not in record
    assert any("mm off: no score" in warning for warning in summary.warnings)


def test_work_is_reused_only_with_the_same_weights(finished, models, tmp_path):
    workspace, _ = finished
    before = (workspace.work_dir / "shape.json").stat().st_mtime_ns
    run(workspace, models, nsm_type="both")
    assert (workspace.work_dir / "shape.json").stat().st_mtime_ns == before
    other = tmp_path / "models"
    shutil.copytree(models, other)
    (other / "nsm" / "ellipsoids").rename(other / "nsm" / "renamed")
    run(workspace, other, nsm_type="both")
    assert json.loads((workspace.files_dir / "shape" / "NSM_recon_params.json").read_text())["model"] == "renamed"
    assert state(run(workspace, other, perform_nsm=False)) == (StepState.SKIPPED, "not asked for")
    assert not (workspace.files_dir / "shape").exists()


def test_damaged_weights_affect_only_the_shape_step(finished, models, tmp_path):
    workspace, _ = finished
    broken = tmp_path / "models"
    shutil.copytree(models, broken)
    (broken / "nsm" / "ellipsoids" / "model.pth").write_bytes(b"PK\x03\x04 torn")
    summary = run(workspace, broken)
    assert state(summary)[0] is StepState.FAILED
    assert any(warning.startswith("Fit the shape model: ") for warning in summary.warnings)
    assert (workspace.files_dir / "results.csv").exists()

"""The registry of segmentation models: complete cards, verified weights, no heavy imports for web processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.anatomy import Numbering, Structure
from pipeline.digest import sha256_of
from pipeline.errors import ModelError, OptionsError
from pipeline.options import AnalysisOptions
from pipeline.segmentation.card import BUILT_IN_WEIGHTS
from pipeline.segmentation.identity import ModelIdentity
from pipeline.segmentation.knee_unet import knee_unet, read_knee_unet
from pipeline.segmentation.models.knee_edges import knee_edges
from pipeline.segmentation.registry import built_in_models, model, models
from pipeline.segmentation.segmenter import facts
from pipeline.types import Resources

ROOT = Path(__file__).resolve().parents[3]
BUILT_IN = pytest.mark.parametrize("entry", built_in_models(), ids=lambda entry: entry.card.id)


def test_the_ids_of_the_interface_exist_and_the_default_is_first() -> None:
    ids = [entry.card.id for entry in built_in_models()]
    assert ids[0] == AnalysisOptions().segmentation_model == "nnunet_fullres"
    assert "nnunet_cascade" in ids
    assert len(set(ids)) == len(ids)


@BUILT_IN
def test_the_shipped_weights_have_the_digest_of_their_card(entry) -> None:
    assert entry.files()
    for file in entry.files():
        assert sha256_of(file.path) == file.sha256
        assert entry.identity().digests[file.role] == file.sha256
    assert entry.availability().available


@BUILT_IN
def test_a_card_states_the_required_facts(entry) -> None:
    card = entry.card
    assert card.licence == "Apache-2.0"
    assert "2211.16696" in card.citation
    assert "synthetic" in card.training_data.lower()
    assert "thick" in card.caution or "volume" in card.caution
    assert "held-out" in card.figures.measured_on
    assert 0.5 < card.figures.accuracy["femoral_cartilage"].dice < 1
    assert set(card.structures) == set(Structure)
    assert set(card.experimental) == {Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS}
    assert "Menisci are experimental" in card.scope
    assert "Tibial cartilage is one label" in card.scope
    assert card.confidence_flag is not None
    assert card.thick_slices is not None


def test_both_models_use_the_same_files_in_different_ways() -> None:
    default, cascade = model("nnunet_fullres", Resources()), model("nnunet_cascade", Resources())
    assert cascade.card.native_labels == default.card.native_labels == knee_unet().card.native_labels
    weights, edges = (sha256_of(BUILT_IN_WEIGHTS / name) for name in ("knee_unet/weights.onnx", "knee_edges/edges.npz"))
    files = {"weights": edges, "first_pass": weights}
    assert default.identity() == ModelIdentity(id="nnunet_fullres", source="built-in", digests=files)
    assert cascade.identity() == ModelIdentity(id="nnunet_cascade", source="built-in", digests=files, method="mirrored")
    for identity in (default.identity(), cascade.identity()):
        assert ModelIdentity.from_dict(identity.to_dict()) == identity
    reported = [facts(entry.card, entry.identity()) for entry in (default, cascade)]
    assert [(found["weights_sha256"], found["first_pass_sha256"]) for found in reported] == [(edges, weights)] * 2


def test_the_built_in_models_cannot_run_without_the_weights_of_its_first_pass(tmp_path: Path) -> None:
    gone = replace(knee_unet().weights, path=tmp_path / "gone.onnx")
    alone = replace(knee_edges(), first_pass=replace(knee_unet(), weights=gone))
    assert knee_edges().availability().available
    assert not alone.availability().available
    assert "gone.onnx is missing" in alone.availability().reason


def test_damaged_or_missing_weights_are_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "weights.onnx"
    whole = knee_unet().weights.path.read_bytes()
    entry = replace(knee_unet(), weights=replace(knee_unet().weights, path=path))
    for content, reason in ((whole, ""), (whole[:-1] + b"?", "damaged"), (b"", "damaged"), (whole, "")):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        state = entry.availability()
        assert state.available is not bool(reason)
        assert reason in state.reason
    path.unlink()
    assert "missing" in entry.availability().reason


@BUILT_IN
def test_a_card_as_json_contains_no_path(entry) -> None:
    text = json.dumps(facts(entry.card, entry.identity()))
    assert str(ROOT) not in text
    assert "weights.onnx" not in text


def test_a_remap_without_a_native_label_is_rejected() -> None:
    short = Numbering(id="short", title="menisci forgotten", to_canonical={1: Structure.FEMUR})
    with pytest.raises(ModelError, match=r"2 \(meniscus\)"):
        replace(knee_unet().card, native_labels={1: "femur", 2: "meniscus"}, native_to_canonical=short)


def test_an_unknown_model_is_rejected_with_a_list_of_models() -> None:
    with pytest.raises(OptionsError, match="nnunet_fullres, nnunet_cascade"):
        model("unet", Resources())


def test_a_folder_without_plans_is_not_an_installed_model(tmp_path: Path) -> None:
    (tmp_path / "nnunet_fullres").mkdir()
    assert models(Resources(models_dir=tmp_path)) == built_in_models()
    assert models(Resources(models_dir=tmp_path / "gone")) == built_in_models()


def test_reading_the_registry_loads_no_inference_runtime(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "plans.json").write_text("{}")
    code = (
        "import sys; from pathlib import Path; from pipeline.segmentation import registry; "
        "from pipeline.segmentation.segmenter import facts; from pipeline.types import Resources;"
        f"found = registry.models(Resources(models_dir=Path({str(tmp_path)!r})));"
        "print([(m.card.id, bool(facts(m.card, m.identity())), m.availability().available) for m in found][2]);"
        "print([m for m in ('onnxruntime', 'torch', 'openvino', 'nnunetv2', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines() == ["('lab', True, False)", "[]"]


def test_figures_apply_only_to_the_measured_weights(tmp_path: Path) -> None:
    folder = tmp_path / "knee_unet"
    shutil.copytree(BUILT_IN_WEIGHTS / "knee_unet", folder)
    data = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    measured = {"measured_on": "images of a renderer", "structures": {"femur": {"dice": 0.9}}}
    for digests, counts in (
        ({"weights": data["sha256"]}, True),
        ({"weights": "0" * 64}, False),
        ({"weights": data["sha256"], "first_pass": "0" * 64}, False),
        ({}, False),
    ):
        data["accuracy"]["training_renderer"] = measured | {"digests": digests}
        (folder / "card.json").write_text(json.dumps(data), encoding="utf-8")
        card = read_knee_unet(folder).card
        assert (card.training_renderer is not None) is counts
        assert (card.to_dict()["training_renderer"] is not None) is counts


def test_the_error_for_an_unreadable_card_names_its_folder_without_path(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "card.json").write_text("{}")
    with pytest.raises(ModelError, match="model lab cannot be read: KeyError") as refused:
        read_knee_unet(tmp_path / "lab")
    assert str(tmp_path) not in str(refused.value)

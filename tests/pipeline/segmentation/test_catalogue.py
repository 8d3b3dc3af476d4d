"""The catalogue of segmentation models: complete, honest about its weights, and light enough for web processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pipeline.anatomy import Numbering, Structure
from pipeline.digest import sha256_of
from pipeline.errors import ModelError, OptionsError
from pipeline.options import AnalysisOptions, ModelChoice
from pipeline.segmentation.catalogue import (
    BUILT_IN_WEIGHTS,
    CATALOGUE,
    Family,
    availability,
    available,
    card,
    read_card,
)
from pipeline.segmentation.installed import card_in_use
from pipeline.types import Resources

ROOT = Path(__file__).resolve().parents[3]


def test_the_catalogue_offers_exactly_the_models_that_options_accept_default_first() -> None:
    assert tuple(entry.id for entry in CATALOGUE) == get_args(ModelChoice)
    assert CATALOGUE[0].id == AnalysisOptions().segmentation_model


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.id)
def test_the_shipped_weights_have_the_digest_of_their_card(entry) -> None:
    assert sha256_of(entry.weights) == entry.sha256


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.id)
def test_a_card_says_what_a_user_must_know(entry) -> None:
    assert entry.licence == "Apache-2.0"
    assert "2211.16696" in entry.citation
    assert "synthetic" in entry.training_data.lower()
    assert "thick" in entry.caution or "volume" in entry.caution
    assert "held-out" in entry.figures.measured_on
    assert 0.5 < entry.figures.accuracy["femoral_cartilage"].dice < 1
    assert set(Structure) - set(entry.structures) == {Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS}
    assert "Menisci are not segmented" in entry.scope
    assert "Tibial cartilage is one label" in entry.scope


def test_the_cascade_refines_what_the_one_pass_says() -> None:
    fullres, cascade = card("nnunet_fullres"), card("nnunet_cascade")
    assert cascade.first is fullres
    assert cascade.native_labels == fullres.native_labels, "edges are read class by class"
    assert (cascade.axes, cascade.resolution_mm) == (fullres.axes, fullres.resolution_mm)
    assert fullres.digests == {"weights_sha256": fullres.sha256, "first_pass_sha256": ""}
    assert cascade.digests == {"weights_sha256": cascade.sha256, "first_pass_sha256": fullres.sha256}
    assert cascade.to_dict().items() >= cascade.digests.items()


def test_the_cascade_cannot_run_without_the_weights_of_its_first_pass(tmp_path: Path) -> None:
    cascade = card("nnunet_cascade")
    alone = replace(cascade, first=replace(cascade.first, weights=tmp_path / "gone.onnx"))
    assert availability(cascade, Resources()).available
    assert not availability(alone, Resources()).available


def test_a_card_for_json_holds_no_path() -> None:
    text = json.dumps(card("nnunet_fullres").to_dict())
    assert str(ROOT) not in text
    assert "weights.onnx" not in text


def test_a_remap_that_omits_a_native_label_is_refused() -> None:
    short = Numbering(id="short", title="menisci forgotten", to_canonical={1: Structure.FEMUR})
    with pytest.raises(ModelError, match=r"2 \(meniscus\)"):
        replace(card("nnunet_fullres"), native_labels={1: "femur", 2: "meniscus"}, native_to_canonical=short)


def test_an_unknown_model_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(OptionsError, match="nnunet_fullres, nnunet_cascade"):
        card("unet")


def test_built_in_weights_are_available_and_missing_ones_are_not(tmp_path: Path) -> None:
    entry = card("nnunet_fullres")
    assert availability(entry, Resources()).source == "built-in"
    assert available(entry, Resources(models_dir=tmp_path))
    gone = availability(replace(entry, weights=tmp_path / "weights.onnx"), Resources())
    assert not gone.available
    assert "missing" in gone.reason


def test_a_folder_without_plans_is_not_an_installed_model(tmp_path: Path) -> None:
    (tmp_path / "nnunet_fullres").mkdir()
    resources = Resources(models_dir=tmp_path)
    assert card_in_use("nnunet_fullres", resources) is card("nnunet_fullres")
    assert availability(card("nnunet_fullres"), resources).source == "built-in"


def test_reading_the_catalogue_loads_no_inference_runtime() -> None:
    code = (
        "import sys; import pipeline.segmentation.catalogue as c, pipeline.segmentation.installed as i;"
        "from pipeline.types import Resources; [c.availability(e, Resources()) for e in c.CATALOGUE];"
        "i.card_in_use('nnunet_cascade', Resources());"
        "print([m for m in ('onnxruntime', 'torch', 'openvino', 'nnunetv2', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_figures_of_another_hand_count_for_the_networks_they_were_measured_with_only(tmp_path: Path) -> None:
    folder = tmp_path / "knee_unet"
    shutil.copytree(BUILT_IN_WEIGHTS / "knee_unet", folder)
    data = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    measured = {"measured_on": "another hand", "structures": {"femur": {"dice": 0.9}}}
    for digest, counts in ((data["sha256"], True), ("0" * 64, False)):
        data["accuracy"]["painted"] = measured | {"weights_sha256": digest}
        (folder / "card.json").write_text(json.dumps(data), encoding="utf-8")
        entry = read_card(folder, id="x", family=Family.UNET, title="x", description="x")
        assert (entry.painted is not None) is counts
        assert (entry.to_dict()["painted"] is not None) is counts

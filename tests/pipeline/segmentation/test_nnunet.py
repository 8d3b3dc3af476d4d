"""An nnU-Net v2 folder in MODELS_DIR is a model: its labels are recognised or rejected, and it runs if the package is
installed.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.anatomy import Structure, structure_of
from pipeline.errors import ModelError, WeightsCorrupt, WeightsMissing
from pipeline.segmentation import describe, segment
from pipeline.segmentation.nnunet_files import numbering_of
from pipeline.segmentation.registry import every_model, model, model_ids, models
from pipeline.types import Resources
from tests.support.segmentation_phantom import stored_otherwise, two_bones

HAS_NNUNET = find_spec("nnunetv2") is not None
needs_nnunet = pytest.mark.skipif(not HAS_NNUNET, reason="the optional extra requirements-nnunet.txt is not installed")

NAMES = (
    "patellar cartilage",
    "femoral cartilage",
    "medial tibial cartilage",
    "lateral tibial cartilage",
    "medial meniscus",
    "lateral meniscus",
    "femur",
    "tibia",
    "patella",
)
LABELS = {"background": 0} | {name: k for k, name in enumerate(NAMES, start=1)}
MEANING = {
    1: Structure.PATELLAR_CARTILAGE,
    2: Structure.FEMORAL_CARTILAGE,
    3: Structure.MEDIAL_TIBIAL_CARTILAGE,
    4: Structure.LATERAL_TIBIAL_CARTILAGE,
    5: Structure.MEDIAL_MENISCUS,
    6: Structure.LATERAL_MENISCUS,
    7: Structure.FEMUR,
    8: Structure.TIBIA,
    9: Structure.PATELLA,
}
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [4, 8],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
_RESAMPLE: dict[str, Any] = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}


def _configuration(**further: Any) -> dict[str, Any]:
    return {
        "data_identifier": "tiny",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [16, 32, 32],
        "median_image_size_in_voxels": [32, 32, 32],
        "spacing": [1.6, 1.4, 1.4],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": _RESAMPLE,
        "resampling_fn_seg_kwargs": _RESAMPLE | {"is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": _RESAMPLE,
        "architecture": ARCHITECTURE,
        "batch_dice": False,
    } | further


PLANS = {
    "dataset_name": "Dataset999_TinyKnee",
    "plans_name": "nnUNetPlans",
    "original_median_spacing_after_transp": [1.6, 1.4, 1.4],
    "original_median_shape_after_transp": [32, 32, 32],
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "configurations": {"3d_fullres": _configuration()},
    "experiment_planner_used": "ExperimentPlanner",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": {"mean": 0.4, "std": 0.2}},
}


def _install(
    models_dir: Path, name: str = "nnunet_fullres", *, labels: dict[str, Any] | None = None, **dataset: Any
) -> Path:
    """A folder as nnU-Net v2 writes it, with a few invalid bytes as checkpoint."""
    folder = models_dir / name
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(PLANS))
    content = {"channel_names": {"0": "MRI"}, "labels": labels or LABELS, "numTraining": 3, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content | dataset))
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"no checkpoint")
    return folder


def _quiet(_: float) -> None:
    """Ignores progress."""


def test_an_installed_folder_takes_precedence_only_for_the_same_name(tmp_path: Path) -> None:
    _install(tmp_path, licence="CC-BY-4.0")
    resources = Resources(models_dir=tmp_path)
    card = model("nnunet_fullres", resources).card
    assert (card.family, card.source) == ("nnunet_v2", "installed")
    assert "Dataset999_TinyKnee" in card.title
    assert card.licence == "CC-BY-4.0"
    assert set(card.structures) == set(Structure)
    assert model("nnunet_cascade", resources) == model("nnunet_cascade", Resources())
    assert model_ids(resources) == model_ids(Resources()), "it keeps the place of the one it replaces"
    assert len(every_model(resources)) == len(models(resources)) + 1


def test_a_folder_of_any_name_is_a_model_under_that_name(tmp_path: Path) -> None:
    _install(tmp_path, "Dataset007_OurKnees")
    _install(tmp_path, "another-lab.v2")
    resources = Resources(models_dir=tmp_path)
    assert model_ids(resources) == (*model_ids(Resources()), "Dataset007_OurKnees", "another-lab.v2")
    assert model("another-lab.v2", resources).identity().id == "another-lab.v2"


def test_a_folder_with_an_invalid_id_is_skipped_with_a_message(tmp_path: Path, caplog) -> None:
    for name in ("our knees", ".hidden", "<b>", "x" * 65):
        _install(tmp_path, name)
    assert model_ids(Resources(models_dir=tmp_path)) == model_ids(Resources())
    assert "our knees" in caplog.text


def test_an_incomplete_installed_folder_is_unavailable_with_a_reason(tmp_path: Path) -> None:
    folder = _install(tmp_path)
    resources = Resources(models_dir=tmp_path)
    (folder / "fold_0" / "checkpoint_final.pth").unlink()
    assert "checkpoint_final" in model("nnunet_fullres", resources).availability().reason
    with pytest.raises(WeightsMissing):
        segment(two_bones()[0], "nnunet_fullres", resources, _quiet)
    (folder / "dataset.json").unlink()
    assert "dataset.json" in model("nnunet_fullres", resources).availability().reason


def test_the_identity_covers_every_file_that_affects_the_result(tmp_path: Path) -> None:
    folder = _install(tmp_path)
    (folder / "fold_1").mkdir()
    (folder / "fold_1" / "checkpoint_final.pth").write_bytes(b"another")
    _install(tmp_path / "elsewhere").rename(folder / "previous_stage")
    resources = Resources(models_dir=tmp_path)
    names = {"plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth"}
    names |= {f"previous_stage/{name}" for name in names - {"fold_1/checkpoint_final.pth"}}
    before = model("nnunet_fullres", resources).identity()
    assert set(before.digests) == names
    for name in names:
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        assert model("nnunet_fullres", resources).identity() != before, name
        path.write_bytes(content)
        assert model("nnunet_fullres", resources).identity() == before


def test_two_folds_exchanged_are_another_model(tmp_path: Path) -> None:
    folder = _install(tmp_path)
    (folder / "fold_1").mkdir()
    (folder / "fold_1" / "checkpoint_final.pth").write_bytes(b"the other one")
    resources = Resources(models_dir=tmp_path)
    before = model("nnunet_fullres", resources).identity()
    (folder / "fold_0").rename(folder / "spare")
    (folder / "fold_1").rename(folder / "fold_0")
    (folder / "spare").rename(folder / "fold_1")
    after = model("nnunet_fullres", resources).identity()
    assert sorted(after.digests.values()) == sorted(before.digests.values())
    assert after != before


def test_a_checkpoint_with_another_digest_than_stated_is_not_used(tmp_path: Path) -> None:
    folder = _install(tmp_path)
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  fold_0/checkpoint_final.pth\n")
    state = model("nnunet_fullres", Resources(models_dir=tmp_path)).availability()
    assert not state.available
    assert "damaged" in state.reason or not HAS_NNUNET


@pytest.mark.skipif(HAS_NNUNET, reason="says what happens without the optional extra")
def test_without_the_package_the_built_in_network_is_not_used_silently(tmp_path: Path) -> None:
    _install(tmp_path)
    resources = Resources(models_dir=tmp_path)
    assert not model("nnunet_fullres", resources).availability().available
    for call in (
        lambda: segment(two_bones()[0], "nnunet_fullres", resources, _quiet),
        lambda: describe("nnunet_fullres", resources),
    ):
        with pytest.raises(WeightsMissing) as missing:
            call()
        assert "pip install -r requirements-nnunet.txt" in missing.value.hint


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        {"background": 0} | {name.title().replace(" ", "_"): k for name, k in LABELS.items() if k},
        {"background": 0} | {f"label_{k}": k for k in range(1, 10)},
        {str(k): k for k in range(10)},
    ],
    ids=["words", "Snake_Title", "label_n", "numbers"],
)
def test_the_nine_usual_labels_are_recognised(labels: dict[str, int]) -> None:
    native, numbering = numbering_of(labels)
    assert {k: numbering.to_canonical[k] for k in native} == MEANING
    assert numbering.compartments_apart


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("Femur_Bone", Structure.FEMUR),
        ("tibial-cartilage-lateral", Structure.LATERAL_TIBIAL_CARTILAGE),
        ("cart_fem", Structure.FEMORAL_CARTILAGE),
        ("MENISCUS (medial)", Structure.MEDIAL_MENISCUS),
        ("fibula", None),
        ("cartilage", None),
        ("femoral cartilage lesion", None),
    ],
)
def test_a_label_name_is_recognised_or_rejected(name: str, structure: Structure | None) -> None:
    assert structure_of(name) is structure


def test_a_single_tibial_cartilage_label_is_marked_for_splitting() -> None:
    _, numbering = numbering_of({"background": 0, "femur": 1, "tibia": 2, "tibial cartilage": 3, "ignore": 4})
    assert not numbering.compartments_apart


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ({"background": 0, "femur": 1, "fibula": 2}, "fibula"),
        ({"background": 0, "femur": 1, "Femur": 2}, "same meaning"),
        ({"background": 0, "whole bone": [1, 2]}, "one whole number"),
        ({"background": 0, "label_1": 1, "label_12": 12}, "12"),
        ({"background": 0}, "no labels"),
    ],
)
def test_labels_that_cannot_be_mapped_are_rejected(labels: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        numbering_of(labels)


@pytest.mark.parametrize(
    ("dataset", "what"), [({"channel_names": {"0": "T1", "1": "T2"}}, "takes 2 images"), ({"axes": "sagittal"}, "axes")]
)
def test_a_model_with_two_images_or_unknown_axes_is_rejected(
    tmp_path: Path, dataset: dict[str, Any], what: str
) -> None:
    _install(tmp_path, **dataset)
    entry = model("nnunet_fullres", Resources(models_dir=tmp_path))
    assert what in entry.availability().reason
    assert entry.card.structures == ()
    with pytest.raises(ModelError, match=what):
        entry.segment(two_bones()[0], Resources(), _quiet)


# --- with the package -------------------------------------------------------------------------------------------------


def _save_checkpoint(
    folder: Path, *, configuration: str = "3d_fullres", channels: int = 1, fold: str = "fold_0"
) -> None:
    """A random network in the format of nnU-Net v2's trainer, including numpy numbers."""
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    torch.manual_seed(len(fold) + int(fold[-1]))
    network = get_network_from_plans(
        ARCHITECTURE["network_class_name"],
        ARCHITECTURE["arch_kwargs"],
        ARCHITECTURE["_kw_requires_import"],
        channels,
        len(LABELS),
        allow_init=True,
        deep_supervision=False,
    )
    (folder / fold).mkdir(exist_ok=True)
    torch.save(
        {
            "network_weights": network.state_dict(),
            "optimizer_state": torch.optim.SGD(network.parameters(), lr=0.01).state_dict(),
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(1.0)]},
            "_best_ema": np.float64(0.5),
            "current_epoch": 1,
            "init_args": {"plans": PLANS, "configuration": configuration, "fold": 0, "device": torch.device("cpu")},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2),
        },
        folder / fold / "checkpoint_final.pth",
    )


@needs_nnunet
@pytest.mark.slow
def test_an_installed_network_runs_and_its_labels_are_canonical(tmp_path: Path, capsys, caplog) -> None:
    folder = _install(tmp_path)
    _save_checkpoint(folder)
    _save_checkpoint(folder, fold="fold_1")
    resources = Resources(models_dir=tmp_path, device="cpu", threads=1)
    scan = two_bones((30, 33, 36), (1.8, 1.7, 1.9))[0]
    reported: list[float] = []
    found = segment(scan, "nnunet_fullres", resources, reported.append)
    assert found.compartments_apart
    assert found.labels.shape == scan.grid.shape
    assert found.labels.any()
    assert reported == sorted(reported)
    assert reported[-1] == 1
    assert len(reported) > 8
    assert capsys.readouterr().out == ""
    assert not caplog.records, "a checkpoint of the usual form needs no full unpickling"
    other = stored_otherwise(scan, (2, 1, 0), (0, 2))
    labels = segment(other, "nnunet_fullres", resources, _quiet).labels
    assert np.array_equal(labels, np.flip(found.labels.transpose(2, 1, 0), (0, 2)))
    facts = describe("nnunet_fullres", resources)
    first = folder / "fold_0" / "checkpoint_final.pth"
    assert facts["checkpoints_sha256"]["fold_0/checkpoint_final.pth"] == hashlib.sha256(first.read_bytes()).hexdigest()
    assert "Dataset999_TinyKnee" in facts["title"]
    assert facts["runtime"].startswith("nnunetv2 ")
    assert facts["provider"] == "cpu"
    assert str(tmp_path) not in json.dumps(facts)


@needs_nnunet
@pytest.mark.slow
def test_an_installed_network_gives_the_result_of_nnunet(tmp_path: Path) -> None:
    """Compared with the package's loader and predictor on the same array, before post-processing."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from pipeline.segmentation import nnunet

    folder = _install(tmp_path)
    _save_checkpoint(folder)
    image = np.random.default_rng(5).gamma(2, 1, (1, 20, 40, 37)).astype(np.float32)
    spacing = (1.6, 1.2, 1.3)
    ours = nnunet.predict(folder, image, spacing, Resources(device="cpu", threads=1), _quiet)
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), (0,), "checkpoint_final.pth")
    theirs = predictor.predict_single_npy_array(image, {"spacing": list(spacing)})
    assert len(np.unique(theirs)) > 1
    assert np.array_equal(ours, theirs)


@needs_nnunet
@pytest.mark.slow
def test_the_second_cascade_stage_runs_after_the_first_or_reports_that_it_is_missing(tmp_path: Path) -> None:
    folder = _install(tmp_path)
    plans = json.loads(json.dumps(PLANS))
    plans["configurations"]["3d_lowres"] = _configuration(next_stage="3d_cascade_fullres")
    plans["configurations"]["3d_cascade_fullres"] = _configuration(previous_stage="3d_lowres")
    (folder / "plans.json").write_text(json.dumps(plans))
    _save_checkpoint(folder, configuration="3d_cascade_fullres", channels=len(LABELS))
    resources = Resources(models_dir=tmp_path, device="cpu", threads=1)
    scan = two_bones((24, 30, 30), (2.0, 1.9, 2.1))[0]
    with pytest.raises(WeightsMissing) as missing:
        segment(scan, "nnunet_fullres", resources, _quiet)
    assert "previous_stage" in missing.value.hint
    first = _install(tmp_path / "elsewhere")
    (first / "plans.json").write_text(json.dumps(plans))
    _save_checkpoint(first, configuration="3d_lowres")
    first.rename(folder / "previous_stage")
    reported: list[float] = []
    assert segment(scan, "nnunet_fullres", resources, reported.append).labels.any()
    assert reported == sorted(reported)
    assert 0.5 in reported
    assert reported[-1] == 1


@needs_nnunet
def test_a_file_that_is_not_a_checkpoint_is_corrupt(tmp_path: Path) -> None:
    import torch

    folder = _install(tmp_path)
    resources = Resources(models_dir=tmp_path, device="cpu", threads=1)
    scan = two_bones((24, 30, 30), (2.0, 1.9, 2.1))[0]
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        segment(scan, "nnunet_fullres", resources, _quiet)
    torch.save({"weights": torch.zeros(2)}, folder / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(WeightsCorrupt, match="not a checkpoint"):
        segment(scan, "nnunet_fullres", resources, _quiet)

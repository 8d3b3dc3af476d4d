"""Adapting the network to a lab's scans: pairs, folds, patches, and the folder that is installed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.errors import InputError
from pipeline.report.volumes import write_nifti
from pipeline.segmentation.identity import WEIGHTS
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.registry import model
from pipeline.types import Resources, Segmentation
from tests.support.knees import coarse_knee
from training.adapt.cases import LabCase, known_classes, prepared, whole_maps
from training.adapt.folder import Facts, card_content, check_id, install
from training.adapt.pairs import Pair, folds, read_pairs
from training.adapt.patches import lab_patch
from training.adapt.validate import NETWORK_ALONE, WITH_EDGES, Measured
from training.generator.materials import PLATES
from training.knee_unet.agreement import compare
from training.knee_unet.collection import SAMPLE
from training.knee_unet.evaluate import Knee
from training.knee_unet.specimen import CARTILAGE_CLASSES, CLASS_COUNT, CLASS_OF, read_expert_map

SHAPE = (32, 32, 32)


def lab_pair(folder: Path, knee: Segmentation, name: str = "case_1") -> Pair:
    """A scan whose grey value is the label of the voxel, with a little noise so that it is a scan."""
    for part in ("scans", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).standard_normal(knee.labels.shape)
    write_nifti(folder / "scans" / f"{name}.nii.gz", (100.0 * knee.labels + noise).astype(np.float32), knee.grid)
    write_nifti(folder / "labels" / f"{name}.nii.gz", knee.labels, knee.grid)
    labelled = read_pairs(folder / "scans", folder / "labels", folder / "inputs")
    (found,) = [pair for pair in labelled.pairs if pair.name == name]
    return found


def without_patella(knee: Segmentation) -> Segmentation:
    gone = knee.mask(Structure.PATELLA, Structure.PATELLAR_CARTILAGE)
    return replace(knee, labels=np.where(gone, 0, knee.labels).astype(np.uint8))


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_sets_are_read_as_for_validation(tmp_path: Path) -> None:
    scans, labels = touch(tmp_path / "s", "oaizib_001_0000.nii.gz"), touch(tmp_path / "l", "oaizib_001.nii.gz")
    found = read_pairs(scans, labels, tmp_path / "inputs")
    assert (found.pairs[0].name, found.numbering) == ("oaizib_001", "oai_zib_cm")
    with pytest.raises(InputError, match="No scan has the name of a label map"):
        read_pairs(scans, touch(tmp_path / "none"), tmp_path / "inputs")


def test_all_scans_of_a_knee_are_in_one_fold(tmp_path: Path) -> None:
    names = ["7_00m.nii.gz", "7_96m.nii.gz", "8_00m.nii.gz", "9_00m.nii.gz"]
    scans, labels = touch(tmp_path / "s", *names), touch(tmp_path / "l", *names)
    parts = folds(read_pairs(scans, labels, tmp_path / "inputs", knee=r"^\d+").pairs, 2)
    assert sorted(pair.name for part in parts for pair in part) == ["7_00m", "7_96m", "8_00m", "9_00m"]
    assert {pair.knee for pair in parts[0]}.isdisjoint(pair.knee for pair in parts[1])
    with pytest.raises(ValueError, match="expected it in every name"):
        read_pairs(scans, labels, tmp_path / "inputs", knee="knee")


def test_prepared_scans_are_kept_until_their_labels_change(tmp_path: Path) -> None:
    pair = lab_pair(tmp_path, coarse_knee())
    first = prepared(pair, "canonical", tmp_path / "work")
    assert set(np.unique(first.classes)) == set(CLASS_OF[list(coarse_knee().boxes)]) | {0}
    stamp = (tmp_path / "work" / "case_1" / "case.json").stat().st_mtime_ns
    prepared(pair, "canonical", tmp_path / "work")
    assert (tmp_path / "work" / "case_1" / "case.json").stat().st_mtime_ns == stamp
    pair = lab_pair(tmp_path, without_patella(coarse_knee()))
    assert len(known_classes([prepared(pair, "canonical", tmp_path / "work")])) == CLASS_COUNT - 2


def test_image_and_targets_of_a_patch_have_the_same_pose(tmp_path: Path) -> None:
    case = prepared(lab_pair(tmp_path, coarse_knee()), "canonical", tmp_path / "work")
    classes = known_classes([case])
    for seed in range(4):
        patch = lab_patch(case, classes, np.random.default_rng(seed), SHAPE)
        assert patch.targets.sum(0) == pytest.approx(np.ones(SHAPE))
        whole = patch.targets.max(0) == 1.0
        shown = [patch.image[0][whole & (patch.targets[k] == 1.0)] for k in range(len(classes))]
        order = [float(np.median(values)) for values in shown if len(values) > 30]
        assert len(order) > 1
        grey = [float(np.median(CLASS_GREY[classes[k]])) for k, values in enumerate(shown) if len(values) > 30]
        assert np.corrcoef(np.argsort(np.argsort(order)), np.argsort(np.argsort(grey)))[0, 1] > 0.9


CLASS_GREY = {
    int(k): [float(s) for s in Structure if CLASS_OF[s] == k] if k else [0.0] for k in range(int(CLASS_OF.max()) + 1)
}


def test_structures_that_a_lab_did_not_label_are_no_targets(tmp_path: Path) -> None:
    case = prepared(lab_pair(tmp_path, without_patella(coarse_knee())), "canonical", tmp_path / "work")
    patch = lab_patch(case, known_classes([case]), np.random.default_rng(1), SHAPE)
    assert int(CLASS_OF[Structure.PATELLA]) not in patch.classes
    assert len(patch.targets) == len(patch.classes) == CLASS_COUNT - 2


def test_the_generator_draws_only_knees_with_all_structures(tmp_path: Path) -> None:
    whole, part = lab_pair(tmp_path, coarse_knee(), "whole"), lab_pair(tmp_path, without_patella(coarse_knee()), "part")
    found = whole_maps([whole, part], "canonical", tmp_path / "maps")
    assert found[0] == SAMPLE
    assert len(found) == 2
    drawn = read_expert_map(found[1], "canonical")  # which continues the shafts to the border
    assert np.array_equal(drawn.mask(*PLATES), coarse_knee().mask(*PLATES))


FACTS = Facts(id="my_lab", licence="of the lab", scans=4, knees=3, folds=3, synthetic=0.5, minutes=30.0)


def measured(model_id: str) -> Measured:
    knee = coarse_knee()
    region = {"femoral_cartilage/all": 2.0}
    rows = [Knee(name=n, protocol="", parts=compare(knee, knee), true_mm=region, found_mm=region) for n in "ab"]
    return Measured(model=model_id, knees=rows)


def test_an_installed_model_is_offered_with_its_cross_validated_figures(tmp_path: Path) -> None:
    weights = knee_unet().weights.path
    base = json.loads(weights.with_name("card.json").read_text())
    for one, located in ((WITH_EDGES, True), (NETWORK_ALONE, False)):
        install(card_content(FACTS, base, weights, measured(one)), weights, tmp_path)
        found = model("my_lab", Resources(models_dir=tmp_path))
        assert found.availability().available
        assert (len(found.identity().digests) == 2) == located
        assert found.card.figures.accuracy["femur"].dice == 1.0
        assert found.card.figures.thickness["femoral_cartilage/all"].bias_mm == 0.0
        assert "3-fold" in found.card.figures.measured_on
        assert found.card.licence == "of the lab"
        assert knee_unet().weights.sha256 in found.identity().digests.values()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_model_that_was_not_validated_states_so(tmp_path: Path) -> None:
    weights = knee_unet().weights.path
    base = json.loads(weights.with_name("card.json").read_text())
    install(card_content(FACTS, base, weights, None), weights, tmp_path)
    card = model("my_lab", Resources(models_dir=tmp_path)).card
    assert card.caution == "Not validated on any scan."
    assert not card.figures.accuracy
    assert card.training_renderer is None


def test_failed_scans_lower_the_score_and_are_named_in_the_card() -> None:
    found = replace(measured(WITH_EDGES), failed=["c", "d"])
    assert found.cartilage_dice == 0.5
    assert Measured(model=WITH_EDGES, knees=[]).cartilage_dice == 0.0
    weights = knee_unet().weights.path
    base = json.loads(weights.with_name("card.json").read_text())
    assert "2 scans could not be segmented: c, d" in card_content(FACTS, base, weights, found)["caution"]


def test_ids_of_built_in_models_and_invalid_ids_are_refused() -> None:
    check_id("my_lab")
    for name in ("nnunet_fullres", "nnunet_cascade"):
        with pytest.raises(ValueError, match="built-in"):
            check_id(name)
    with pytest.raises(ValueError, match="letters, digits"):
        check_id("../x")


def case_of_classes() -> LabCase:
    classes = np.zeros((20, 20, 20), np.uint8)
    classes[5:15, 5:15, 5:15] = CARTILAGE_CLASSES[0]
    return LabCase(name="", image=classes.astype(np.float32), classes=classes, spacing_mm=(0.7, 0.7, 0.7))


def test_an_unlabelled_structure_is_not_learned_as_background() -> None:
    torch = pytest.importorskip("torch")
    from training.knee_unet.network import aligned, soft_loss

    case = case_of_classes()
    patch = lab_patch(case, known_classes([case]), np.random.default_rng(3), SHAPE)
    assert patch.classes == (0, CARTILAGE_CLASSES[0])
    patella = int(CLASS_OF[Structure.PATELLA])
    targets = torch.from_numpy(patch.targets)[None]

    def loss(instead_of_background: int, classes: tuple[int, ...]) -> float:
        logits = torch.zeros((1, CLASS_COUNT, *SHAPE))
        logits[:, CARTILAGE_CLASSES[0]] = 12.0 * targets[:, 1]
        logits[:, instead_of_background] = 12.0 * targets[:, 0]
        given = targets
        if len(classes) > 2:
            given = torch.cat([targets, torch.zeros_like(targets[:, :1])], 1)
        first, wanted = aligned(logits, given, classes)
        quarter = torch.nn.functional.avg_pool3d(first, 4)
        return float(soft_loss((first, quarter), wanted))

    assert loss(patella, patch.classes) == pytest.approx(loss(0, patch.classes), abs=1e-4)
    labelled = (*patch.classes, patella)
    assert loss(patella, labelled) > loss(0, labelled) + 1.0


def test_only_a_run_with_the_same_files_and_settings_is_resumed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from training.adapt.__main__ import Setting

    pair = lab_pair(tmp_path, coarse_knee())
    setting = Setting(
        pairs=[pair],
        numbering="canonical",
        work=tmp_path,
        minutes=1.0,
        synthetic=0.5,
        adapted_share=0.7,
        device="cpu",
        start=knee_unet().weights.path,
    )
    first = setting.key([pair])
    assert setting.key([pair]) == first
    assert replace(setting, minutes=2.0).key([pair]) != first
    assert setting.key([lab_pair(tmp_path, without_patella(coarse_knee()))]) != first


def test_stored_parameters_are_between_those_before_and_after_the_adaptation() -> None:
    torch = pytest.importorskip("torch")
    from training.adapt.fine_tune import between

    before, after = {"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([3.0, 2.0]), "aux": torch.tensor([5.0])}
    found = between(before, after, 0.75)
    assert found["a"].tolist() == [2.5, 2.0]
    assert found["aux"].tolist() == [5.0]
    assert between(before, after, 1.0)["a"].tolist() == [3.0, 2.0]


def test_targets_that_a_network_lacks_are_background() -> None:
    torch = pytest.importorskip("torch")
    from training.knee_unet.network import aligned

    targets = torch.rand((1, CLASS_COUNT + 1, 4, 4, 4))
    logits, wanted = aligned(torch.zeros((1, CLASS_COUNT, 4, 4, 4)), targets, tuple(range(CLASS_COUNT + 1)))
    assert logits.shape[1] == wanted.shape[1] == CLASS_COUNT
    assert torch.equal(wanted[:, 0], targets[:, 0] + targets[:, CLASS_COUNT])
    assert torch.equal(wanted[:, 1:], targets[:, 1:CLASS_COUNT])


def test_weights_are_read_from_installed_digests(tmp_path: Path) -> None:
    weights = knee_unet().weights.path
    base = json.loads(weights.with_name("card.json").read_text())
    folder = install(card_content(FACTS, base, weights, measured(NETWORK_ALONE)), weights, tmp_path)
    content = json.loads((folder / "card.json").read_text())
    assert content["accuracy"]["digests"] == {WEIGHTS: content["sha256"]}

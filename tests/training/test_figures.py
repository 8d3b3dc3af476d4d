"""The figures of evaluation and reproducibility, on shapes with known results; collections of maps; rescans."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.anatomy import ALL, CARTILAGE_OF, Plate, Structure
from pipeline.quantities import DAB, THC, THC_TAB
from pipeline.segmentation.card import BUILT_IN_WEIGHTS, Accuracy
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.models.knee_edges import knee_edges
from pipeline.validation.agreement import agreement
from tests.support.knees import turned_knee
from training.knee_unet.agreement import compare, parts
from training.knee_unet.collection import knee_of, split_maps
from training.knee_unet.evaluate import (
    Knee,
    caution_of,
    structures_of,
    thickness_of,
    write_card,
    write_training_renderer,
)
from training.knee_unet.reproducibility import DETECTABLE, Figures, per_denuded_percent, summarise
from training.knee_unet.rescan import SHIFT_MM, TURN_DEG, moved_grid, repositioned


def test_tibial_cartilage_is_compared_as_one_plate() -> None:
    assert parts()["tibial_cartilage"] == CARTILAGE_OF[Structure.TIBIA]
    knee = turned_knee()
    assert {row.dice for row in compare(knee, knee).values()} == {1.0}


def knees() -> list[Knee]:
    cube = np.zeros((50, 50, 50), bool)
    cube[10:30, 10:30, 10:30] = True
    shifted, same = (agreement(np.roll(cube, by, axis=0), cube, (0.5, 0.5, 0.5)) for by in (1, 0))
    region = "femoral_cartilage/anterior"
    return [
        Knee(
            name="7_00m",
            protocol="short",
            parts=dict.fromkeys(parts(), shifted),
            true_mm={region: 2.0},
            found_mm={region: 2.3},
        ),
        Knee(
            name="8_00m",
            protocol="long",
            parts=dict.fromkeys(parts(), same),
            true_mm={region: 2.0},
            found_mm={region: 1.9},
        ),
    ]


def digests(weights: str) -> dict[str, str]:
    return {"weights": weights}


def test_the_cards_figures_are_means_and_the_minimum() -> None:
    femur = structures_of(knees())["femur"]
    assert (femur["dice"], femur["dice_worst"]) == (0.975, 0.95)
    assert Accuracy(**femur).volume_bias_percent is None
    assert thickness_of(knees())["femoral_cartilage/anterior"] == {"bias_mm": 0.1, "rmse_mm": 0.224, "knees": 2}
    assert "up to 0 % off" in caution_of(knees())


def test_figures_are_written_only_to_the_card_of_the_measured_weights(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text((BUILT_IN_WEIGHTS / "knee_unet" / "card.json").read_text())
    with pytest.raises(ValueError, match="measured"):
        write_card(path, knees(), [], digests("0" * 64))
    write_card(path, knees(), [], knee_unet().identity().digests)
    content = json.loads(path.read_text())
    assert content["accuracy"]["structures"]["femur"]["dice"] == 0.975
    assert content["accuracy"]["thickness"]["femoral_cartilage/anterior"]["knees"] == 2


def test_training_renderer_figures_are_added_and_dropped_with_their_weights(tmp_path: Path) -> None:
    path, measured = tmp_path / "card.json", knee_unet().identity().digests
    path.write_text((BUILT_IN_WEIGHTS / "knee_unet" / "card.json").read_text())
    with pytest.raises(ValueError, match="measured"):
        write_training_renderer(path, knees(), digests("0" * 64))
    write_training_renderer(path, knees()[1:], measured)
    write_card(path, knees(), [], measured)
    accuracy = json.loads(path.read_text())["accuracy"]
    assert accuracy["structures"]["femur"]["dice"] == 0.975
    assert accuracy["training_renderer"]["structures"]["femur"]["dice"] == 1.0
    content = json.loads(path.read_text())
    content["accuracy"]["training_renderer"]["digests"] = {"weights": "1" * 64}
    path.write_text(json.dumps(content))
    write_card(path, knees(), [], measured)
    assert "training_renderer" not in json.loads(path.read_text())["accuracy"], "measured with other networks"


def test_figures_with_another_first_pass_are_not_written_to_the_card_of_the_edges(tmp_path: Path) -> None:
    path, measured = tmp_path / "card.json", knee_edges().identity().digests
    path.write_text((BUILT_IN_WEIGHTS / "knee_edges" / "card.json").read_text())
    with pytest.raises(ValueError, match="is for first_pass"):
        write_card(path, knees(), [], dict(measured) | {"first_pass": "1" * 64})
    write_card(path, knees(), [], measured)


def test_no_visit_of_a_validation_knee_is_used_in_training(tmp_path: Path) -> None:
    for name in ("train/7_00m", "train/8_00m", "train/8_96m", "train/9_00m", "validation/8_36m"):
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    training, held = split_maps(tmp_path)
    assert [knee_of(path) for path in training] == ["7", "9"]
    assert [path.name for path in held] == ["8_36m.nii.gz"]


def test_the_error_for_a_folder_without_maps_names_the_expected_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected files that end in \.nii\.gz"):
        split_maps(tmp_path)


PLATE = f"{Plate.FEMORAL}/{ALL}"


def repeats(thickness: NDArray[np.float64], denuded: float | NDArray[np.float64] = 0.0) -> list[Figures]:
    """The figures of one place in every repeat."""
    bare = np.broadcast_to(denuded, thickness.shape)
    return [
        {THC.id: {PLATE: mm}, THC_TAB.id: {PLATE: mm}, DAB.id: {PLATE: percent}}
        for mm, percent in zip(thickness.tolist(), bare.tolist(), strict=True)
    ]


def test_detectable_change_follows_from_the_given_spread() -> None:
    rng = np.random.default_rng(0)
    values = [2.0 + 0.1 * rng.standard_normal(4000), 4.0 + 0.2 * rng.standard_normal(4000)]
    row = summarise([repeats(knee) for knee in values])[PLATE]
    assert row["cv_percent"] == pytest.approx(5.0, abs=0.15)
    assert row["sdc_mm"] == pytest.approx(1.96 * np.sqrt(2) * np.sqrt((0.1**2 + 0.2**2) / 2), abs=0.01)
    assert row["mean_mm"] == pytest.approx(3.0, abs=0.01)


def test_a_region_missing_in_one_repeat_uses_the_other_repeats() -> None:
    assert summarise([repeats(np.array([2.0, np.nan, 2.2]))])[PLATE]["mean_mm"] == 2.1
    assert summarise([repeats(np.array([2.0, np.nan]))]) == {}


def test_differences_of_worn_plates_are_within_what_denuded_bone_adds() -> None:
    """The error of a worn knee grows by 0.05 mm for each percent; it does not change that of a covered one."""
    rng = np.random.default_rng(0)
    covered = repeats(2.0 + 0.02 * rng.standard_normal(300))
    worn = [repeats(1.5 + 0.05 * p / DETECTABLE * rng.standard_normal(60), denuded=p) for p in (4.0, 8.0, 12.0)]
    found = summarise([covered, *worn])
    assert found == summarise([covered])
    rate, count = per_denuded_percent([covered, *worn], found)
    assert count == 3
    assert rate == pytest.approx(0.05, rel=0.15)
    assert per_denuded_percent([covered], found) == (0.0, 0)


def test_a_knee_is_repositioned_within_five_millimetres_and_degrees() -> None:
    grid = turned_knee().grid
    for seed in range(50):
        moved = moved_grid(grid, np.random.default_rng(seed))
        turn = moved.direction @ grid.direction.T
        assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) <= TURN_DEG + 1e-6
        middle = [0.5 * (np.array(grid.shape) - 1)]
        assert np.linalg.norm(moved.to_mm(middle) - grid.to_mm(middle)) <= SHIFT_MM + 1e-6


def test_a_repositioned_knee_keeps_its_location_and_volume() -> None:
    knee = turned_knee()
    again = repositioned(knee, moved_grid(knee.grid, np.random.default_rng(4)))
    for structure in (Structure.FEMORAL_CARTILAGE, Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.PATELLA):
        before, after = (np.argwhere(s.labels == structure) for s in (knee, again))
        assert len(after) == pytest.approx(len(before), rel=0.03)
        shift = knee.grid.to_mm(before).mean(0) - again.grid.to_mm(after).mean(0)
        assert np.linalg.norm(shift) < 0.4  # voxels here are 1.0 x 0.6 x 0.6 mm

"""Choice of the confidence flag and of the usable slice thickness, from figures with a known result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.segmentation.card import BUILT_IN_WEIGHTS
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.limits import confidence_flag_of
from pipeline.types import Segmentation
from tests.support.knees import coarse_knee, joint_of
from training.knee_unet.confidence import MOST_OTHERS, Rated, rule, write_rule
from training.knee_unet.scans import thick_scan
from training.knee_unet.thick import ThickKnee, thick_figures, usable_slice_mm


def scans(dice: list[float], probability: list[float | None]) -> list[Rated]:
    return [
        Rated(name=str(k), condition="short", dice={"femur": d}, probability=p, entropy_bits=None)
        for k, (d, p) in enumerate(zip(dice, probability, strict=True))
    ]


def test_if_confidence_follows_dice_only_the_worst_tenth_is_flagged() -> None:
    dice = list(np.linspace(0.6, 0.9, 40))
    found = rule(scans(dice, dice))
    assert (found.worst_caught, found.others_flagged, found.scans) == (1.0, 0.0, 40)
    assert dice[3] < found.threshold < dice[4]


def test_a_confident_failure_is_missed_rather_than_all_scans_flagged() -> None:
    dice = list(np.linspace(0.6, 0.9, 40))
    probability = [*dice[:3], 0.95, *dice[4:]]
    found = rule(scans(dice, probability))
    assert found.worst_caught == 0.75
    assert found.others_flagged <= MOST_OTHERS


def test_surface_entropy_is_used_only_if_it_finds_more_than_probability() -> None:
    dice = list(np.linspace(0.6, 0.9, 40))
    sure_inside = scans(dice, [*dice[:3], 0.95, *dice[4:]])
    uncertain = [replace(one, entropy_bits=0.95 if k == 3 else 0.8) for k, one in enumerate(sure_inside)]
    found = rule(uncertain)
    assert (found.worst_caught, found.others_flagged) == (1.0, 0.0)
    assert found.most_entropy_bits is not None
    assert 0.8 < found.most_entropy_bits < 0.95
    assert dice[2] < found.threshold < dice[4]
    assert rule([replace(one, entropy_bits=0.8) for one in scans(dice, dice)]).most_entropy_bits is None


def test_a_scan_without_cartilage_is_not_flagged_by_confidence() -> None:
    dice = [0.0, *np.linspace(0.6, 0.9, 19)]
    assert rule(scans(dice, [None, *dice[1:]])).worst_caught == 0.5
    with pytest.raises(ValueError, match="no cartilage"):
        rule(scans(dice[:5], [None] * 5))


def test_the_rule_is_written_only_to_the_card_of_its_weights(tmp_path: Path) -> None:
    path, digests = tmp_path / "card.json", knee_unet().identity().digests
    path.write_text((BUILT_IN_WEIGHTS / "knee_unet" / "card.json").read_text())
    found = rule(scans([0.5, 0.8, 0.9], [0.5, 0.8, 0.9]))
    with pytest.raises(ValueError, match="measured"):
        write_rule(path, {"weights": "0" * 64}, found, ["DESS"])
    write_rule(path, digests, found, ["DESS"])
    assert confidence_flag_of(json.loads(path.read_text()), digests) == found


def thick(slice_mm: float, dice: float, error_mm: float) -> ThickKnee:
    return ThickKnee(
        slice_mm=slice_mm,
        dice={"femur": 0.95, "femoral_cartilage": dice},
        error_mm={"femoral_cartilage/all": error_mm, "femoral_cartilage/anterior": np.nan},
    )


def test_thick_slices_are_usable_up_to_the_first_failure() -> None:
    found = thick_figures([thick(2.8, 0.75, 0.2), thick(1.4, 0.8, 0.1), thick(1.4, 0.7, -0.1), thick(4.2, 0.65, 0.2)])
    assert [row["slice_mm"] for row in found["rows"]] == [1.4, 2.8, 4.2]
    assert found["rows"][0] == {
        "slice_mm": 1.4,
        "knees": 2,
        "bone_dice": 0.95,
        "cartilage_dice": 0.75,
        "thickness_rmse_mm": 0.1,
    }
    assert found["usable_slice_mm"] == 2.8


def test_a_large_thickness_error_makes_slices_unusable_at_any_overlap() -> None:
    assert thick_figures([thick(1.4, 0.9, 0.4), thick(2.8, 0.9, 0.1)])["usable_slice_mm"] == 0.0
    assert usable_slice_mm([]) == 0.0


@pytest.mark.slow
def test_thick_slices_are_averaged_along_the_largest_voxel_side() -> None:
    knee = joint_of(coarse_knee())
    length = max(knee.grid.spacing_mm)
    stored = stored_otherwise(knee, (1, 2, 0))
    for one in (knee, stored):
        scan, truth = thick_scan(one, 3, factor=2)
        assert scan.grid == truth.grid
        assert scan.grid.spacing_mm[0] == pytest.approx(2 * length)
        femur = [s.grid.to_mm(np.argwhere(s.labels == Structure.FEMUR)).mean(axis=0) for s in (truth, knee)]
        assert np.linalg.norm(femur[0] - femur[1]) < length


def stored_otherwise(knee: Segmentation, order: tuple[int, int, int]) -> Segmentation:
    """The same knee with its array axes in another order."""
    grid = knee.grid
    stored = Grid(
        shape=knee.labels.transpose(order).shape,
        spacing_mm=tuple(grid.spacing_mm[axis] for axis in order),
        origin_mm=grid.origin_mm,
        direction=grid.direction[:, ::-1][:, order][:, ::-1],
    )
    return replace(knee, labels=np.ascontiguousarray(knee.labels.transpose(order)), grid=stored)

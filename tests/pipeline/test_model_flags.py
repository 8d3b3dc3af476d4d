"""Flags based on the measured performance of the model."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.anatomy import PLATE_ON, Structure
from pipeline.flags import Use
from pipeline.grid import Grid
from pipeline.model_flags import model_flags
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.limits import (
    ConfidenceFlag,
    ContrastFigures,
    SliceFigures,
    ThickSlices,
    confidence_flag_of,
    contrasts_of,
    thick_slices_of,
)
from pipeline.types import Segmentation
from tests.support.knees import coarse_knee

RULE = ConfidenceFlag(threshold=0.75, worst_caught=0.8, others_flagged=0.1, scans=40)


def figures(slice_mm: float, dice: float) -> SliceFigures:
    return SliceFigures(slice_mm=slice_mm, knees=3, bone_dice=0.95, cartilage_dice=dice, thickness_rmse_mm=0.4)


THICK = ThickSlices(
    measured_on="phantoms", rows=(figures(1.4, 0.8), figures(2.8, 0.74), figures(4.2, 0.61)), usable_slice_mm=2.8
)


def model(thick: ThickSlices | None = None, rule: ConfidenceFlag | None = None) -> ModelCard:
    return replace(knee_unet().card, thick_slices=thick, confidence_flag=rule)


def knee(slice_mm: float = 0.7, **confidence: float) -> Segmentation:
    grid = Grid(shape=(4, 4, 4), spacing_mm=(slice_mm, 0.4, 0.4), origin_mm=np.zeros(3), direction=np.eye(3))
    named = {Structure[key.upper()]: value for key, value in confidence.items()}
    return Segmentation(labels=np.zeros((4, 4, 4), np.uint8), grid=grid, model_id="nnunet_fullres", confidence=named)


def codes(segmentation: Segmentation, entry: ModelCard) -> list[str]:
    return [flag.code for flag in model_flags(segmentation, entry)]


def test_cartilage_below_the_threshold_is_flagged_with_the_flags_performance() -> None:
    unsure = knee(femur=0.99, femoral_cartilage=0.74, patellar_cartilage=0.70)
    (flag,) = model_flags(unsure, model(rule=RULE))
    assert flag.code == "LOW_CONFIDENCE"
    for said in ("0.720", "0.750", "uncalibrated", "80 %", "10 %", "40 synthetic scans"):
        assert said in flag.message


def test_experimental_structures_are_flagged_where_they_were_found() -> None:
    entry = replace(knee_unet().card, experimental=(Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS))
    labels = np.zeros((4, 4, 4), np.uint8)
    assert codes(knee(), entry) == []
    labels[1] = Structure.MEDIAL_MENISCUS
    (flag,) = model_flags(replace(knee(), labels=labels), entry)
    assert (flag.code, flag.structure) == ("EXPERIMENTAL_STRUCTURE", "medial_meniscus")
    assert flag.use_of("volume", "medial_meniscus", "all") is Use.CAUTION
    assert flag.use_of("volume", "tibial_cartilage", "all") is Use.YES


def test_cartilage_at_the_threshold_is_not_flagged_regardless_of_bone_confidence() -> None:
    assert codes(knee(femur=0.3, femoral_cartilage=0.75), model(rule=RULE)) == []


@pytest.mark.parametrize(("caught", "others", "raised"), [(1.0, 1.0, 0), (0.3, 0.25, 0), (0.6, 0.25, 1)])
def test_a_rule_that_does_not_discriminate_raises_no_flag(caught: float, others: float, raised: int) -> None:
    rule = replace(RULE, worst_caught=caught, others_flagged=others)
    assert codes(knee(femoral_cartilage=0.1), model(rule=rule)) == ["LOW_CONFIDENCE"] * raised


def test_surface_entropy_above_the_limit_is_flagged_with_both_figures() -> None:
    rule = replace(RULE, most_entropy_bits=0.92)
    sure = knee(femoral_cartilage=0.8)
    uncertain = replace(sure, surface_entropy_bits={Structure.FEMORAL_CARTILAGE: 0.931})
    (flag,) = model_flags(uncertain, model(rule=rule))
    for said in ("0.800", "0.750", "0.931 bits", "0.920", "uncalibrated"):
        assert said in flag.message
    assert codes(uncertain, model(rule=RULE)) == []
    assert codes(replace(sure, surface_entropy_bits={Structure.FEMORAL_CARTILAGE: 0.92}), model(rule=rule)) == []
    assert codes(sure, model(rule=rule)) == []


def test_without_a_rule_or_cartilage_there_is_no_confidence_flag() -> None:
    assert codes(knee(femoral_cartilage=0.1), model()) == []
    assert codes(knee(femur=0.1), model(rule=RULE)) == []


@pytest.mark.parametrize(("slice_mm", "expected"), [(0.7, 0), (1.4, 0), (2.8, 0), (3.0, 1), (6.0, 1)])
def test_slices_above_the_usable_thickness_are_flagged(slice_mm: float, expected: int) -> None:
    assert codes(knee(slice_mm), model(thick=THICK)) == ["CARTILAGE_NOT_USABLE"] * expected


def test_the_thick_slice_flag_states_figures_of_the_closest_thickness() -> None:
    (flag,) = model_flags(knee(4.0), model(thick=THICK))
    for said in ("4 mm", "up to 2.8 mm", "4.2 mm", "0.61", "bones 0.95", "0.40 mm"):
        assert said in flag.message


def test_full_resolution_is_not_flagged_if_no_thick_slices_are_usable() -> None:
    none = replace(THICK, usable_slice_mm=0.0)
    assert codes(knee(0.7), model(thick=none)) == []
    (flag,) = model_flags(knee(1.4), model(thick=none))
    assert "none of the tested slice" in flag.message


def test_a_threshold_of_other_weights_is_ignored() -> None:
    rule = {"threshold": 0.7, "worst_caught": 1.0, "others_flagged": 0.2, "scans": 45}
    chosen_with = {"weights": "a", "first_pass": "b"}
    flagged = {"confidence_flag": {"digests": chosen_with, "rule": rule}}
    assert confidence_flag_of(flagged, chosen_with) == ConfidenceFlag(**rule, most_entropy_bits=None)
    for name in chosen_with:
        assert confidence_flag_of(flagged, chosen_with | {name: "of another"}) is None
    assert confidence_flag_of({}, chosen_with) is None


def test_a_card_without_figures_for_thick_slices_has_none() -> None:
    assert thick_slices_of({"accuracy": {}}) is None


@pytest.mark.parametrize(
    ("bone", "height_mm", "gap_mm", "flagged"),
    [
        (Structure.FEMUR, 35.0, 4.0, True),
        (Structure.TIBIA, -30.0, 4.0, True),
        (Structure.TIBIA, -30.0, 0.0, False),
    ],
)
def test_a_bone_that_the_network_outlined_in_parts_is_flagged(
    bone: Structure, height_mm: float, gap_mm: float, flagged: bool
) -> None:
    """An oblique growth plate that is open on one side of the bone, so that the bone is one piece."""
    knee = coarse_knee()
    points = knee.grid.to_mm(np.indices(knee.grid.shape).reshape(3, -1).T)
    joint = points[knee.labels.ravel() == Structure.FEMORAL_CARTILAGE][:, 2].min()
    own = points[knee.labels.ravel() == bone]
    tilted = points[:, 2] - 0.2 * (points[:, 1] - own[:, 1].mean()) - joint
    open_side = points[:, 0] > own[:, 0].mean()
    plate = (np.abs(tilted - height_mm) < gap_mm / 2) & open_side
    labels = np.where(plate.reshape(knee.grid.shape) & (knee.labels == bone), 0, knee.labels).astype(np.uint8)
    flags = model_flags(replace(knee, labels=labels), model())
    assert [(flag.code, flag.structure) for flag in flags] == [("BONE_INTERRUPTED", bone.key)] * flagged
    assert {flag.use_of("ThC", PLATE_ON[bone], "all") for flag in flags} <= {Use.NO}


def sequence(name: str, contrast: float, rmse_mm: float) -> ContrastFigures:
    return ContrastFigures(
        name=name,
        marrow_contrast=contrast,
        knees=9,
        bone_dice=0.97,
        cartilage_dice=0.81,
        thickness_bias_mm=0.27,
        thickness_rmse_mm=rmse_mm,
        usable=rmse_mm <= 0.25,
    )


SEQUENCES = (sequence("T1", 0.35, 0.34), sequence("PD", 0.57, 0.2), sequence("DESS", 1.5, 0.15))


@pytest.mark.parametrize(
    ("contrast", "expected"), [(None, 0), (0.1, 1), (0.35, 1), (0.44, 1), (0.46, 0), (1.5, 0), (3.0, 0)]
)
def test_a_scan_is_flagged_if_cartilage_was_not_usable_in_the_sequence_of_the_closest_contrast(
    contrast: float | None, expected: int
) -> None:
    entry = replace(model(), contrasts=SEQUENCES)
    assert codes(replace(knee(), marrow_contrast=contrast), entry) == ["CARTILAGE_NOT_USABLE"] * expected


def test_the_contrast_flag_states_the_figures_of_that_sequence() -> None:
    (flag,) = model_flags(replace(knee(), marrow_contrast=0.33), replace(model(), contrasts=SEQUENCES))
    for said in ("0.33", "T1", "0.35", "9 synthetic", "0.34 mm", "+0.27 mm", "0.81", "bones 0.97"):
        assert said in flag.message
    assert flag.use_of("ThC", "femoral_cartilage", "all") is Use.NO


def test_a_card_has_contrasts_only_of_the_files_that_they_were_measured_with() -> None:
    digests = {"weights": "a", "first_pass": "b"}
    card = {"contrasts": {"digests": digests, "rows": [asdict(row) for row in SEQUENCES]}}
    assert contrasts_of(card, digests) == SEQUENCES
    assert contrasts_of(card, digests | {"weights": "c"}) == ()
    assert contrasts_of({}, digests) == ()

"""Confidence figures: known probabilities give known means and entropies."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.segmentation.confidence import (
    ENTROPY_BITS,
    cartilage_mean,
    mean_probability,
    surface_entropy,
    title_of,
)
from pipeline.segmentation.upsampling import CERTAIN

FEMUR = {1: Structure.FEMUR}


def cube(inside: float, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """A cube of label 1 and the certainty of every voxel in and around it."""
    labels = np.zeros((9, 8, 10), np.uint8)
    labels[3:6, 2:5, 4:8] = 1
    probability = np.where(labels == 1, inside, outside)
    return labels, np.rint(probability * CERTAIN).astype(np.uint8)


def shannon(p: float) -> float:
    return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def test_entropy_is_one_bit_at_probability_half_and_zero_at_certainty() -> None:
    assert ENTROPY_BITS[CERTAIN] == 0
    assert ENTROPY_BITS[round(0.5 * CERTAIN)] == pytest.approx(1, abs=1e-4)
    assert np.all(np.diff(ENTROPY_BITS[CERTAIN // 2 + 1 :]) < 0)


def test_mean_probability_is_over_the_voxels_of_the_structure() -> None:
    labels, certainty = cube(0.8, 0.6)
    assert mean_probability(labels, certainty, FEMUR | {2: Structure.TIBIA}) == {Structure.FEMUR: pytest.approx(0.8)}


def test_surface_entropy_is_the_mean_of_both_sides_of_the_surface() -> None:
    labels, certainty = cube(0.8, 0.6)
    expected = (shannon(0.8) + shannon(0.6)) / 2
    assert surface_entropy(labels, certainty, FEMUR)[Structure.FEMUR] == pytest.approx(expected, abs=1e-6)


def test_entropy_far_from_the_surface_is_ignored() -> None:
    labels, certainty = cube(0.8, 0.6)
    before = surface_entropy(labels, certainty, FEMUR)
    certainty[4, 3, 5:7] = CERTAIN // 2  # the cube's inner voxels
    certainty[0] = CERTAIN // 2
    assert surface_entropy(labels, certainty, FEMUR) == before


def test_voxels_without_computed_certainty_are_left_out() -> None:
    labels, certainty = cube(0.8, 0.0)
    assert surface_entropy(labels, certainty, FEMUR)[Structure.FEMUR] == pytest.approx(shannon(0.8), abs=1e-6)


def test_touching_structures_share_their_common_surface() -> None:
    labels = np.repeat(np.array([1, 1, 2, 2], np.uint8), 9).reshape(4, 3, 3)
    certainty = np.full(labels.shape, round(0.7 * CERTAIN), np.uint8)
    found = surface_entropy(labels, certainty, FEMUR | {2: Structure.FEMORAL_CARTILAGE})
    assert (
        found[Structure.FEMUR] == found[Structure.FEMORAL_CARTILAGE] == pytest.approx(ENTROPY_BITS[certainty[0, 0, 0]])
    )


def test_a_structure_that_fills_the_image_has_no_surface() -> None:
    assert surface_entropy(np.ones((4, 4, 4), np.uint8), np.full((4, 4, 4), 200, np.uint8), FEMUR) == {}


def test_the_mean_over_cartilage_excludes_bones_and_may_be_none() -> None:
    values = {Structure.FEMUR: 0.99, Structure.FEMORAL_CARTILAGE: 0.8, Structure.PATELLAR_CARTILAGE: 0.6}
    assert cartilage_mean(values) == pytest.approx(0.7)
    assert cartilage_mean({Structure.FEMUR: 0.99}) is None


def test_tibial_cartilage_has_a_common_name_only_for_networks_with_one_tibial_label() -> None:
    medial, lateral = Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE
    assert title_of(medial, [medial]) == "Tibial cartilage"
    assert title_of(medial, [medial, lateral]) == "Medial tibial cartilage"

"""Resampling to a network's grid and back: linear functions are preserved, and probabilities are recovered."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipeline.segmentation.sampling import downsampling_matrix, isotropic_shape, positions, to_isotropic
from pipeline.segmentation.upsampling import CERTAIN, write_labels

SPACING = (4.0, 0.3, 0.55)
SHAPE = (9, 120, 70)


def test_the_isotropic_grid_covers_the_same_field_of_view() -> None:
    assert isotropic_shape(SHAPE, SPACING, 0.7) == (51, 51, 55)
    assert isotropic_shape((1, 3, 400), (0.3, 0.3, 0.5), 0.7) == (16, 16, 286)


@pytest.mark.parametrize(("count", "spacing"), [(24, 4.0), (160, 0.7), (384, 0.365), (300, 0.3)])
def test_a_ramp_stays_a_ramp_in_millimetres(count: int, spacing: float) -> None:
    """Interpolation is linear and smoothing symmetric: away from the ends, both preserve straight lines."""
    target = round(count * spacing / 0.7)
    ramp = (np.arange(count) + 0.5) * spacing
    sampled = downsampling_matrix(count, spacing, 0.7, target) @ ramp.astype(np.float32)
    expected = (np.arange(target) + 0.5) * 0.7
    inner = (expected > 4) & (expected < count * spacing - 4)
    assert np.abs(sampled - expected)[inner].max() < 2e-4


def test_a_constant_image_stays_constant_to_the_edges() -> None:
    image = np.full(SHAPE, 3.25, dtype=np.float32)
    assert np.allclose(to_isotropic(image, SPACING, 0.7), 3.25, atol=1e-5)


def test_a_fine_scan_is_smoothed_before_it_is_sampled() -> None:
    """A checkerboard finer than the target grid must be smoothed, not aliased."""
    image = np.indices((64, 64, 64)).sum(axis=0).astype(np.float32) % 2
    sampled = to_isotropic(image, (0.3, 0.3, 0.3), 0.7)
    assert sampled[4:-4, 4:-4, 4:-4].std() < 0.01


def _slabs(probability: np.ndarray, cuts: list[int]):
    edges = [0, *cuts, probability.shape[1]]
    return iter([(a, probability[:, a:b]) for a, b in pairwise(edges)])


def _smooth_probability(shape: tuple[int, int, int]) -> np.ndarray:
    """Four classes with curved borders; class 0 is outside."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    score = np.stack([radius * 6, 3.2 - radius + 2 * z, 3.1 - radius - 2 * z + y, 3.3 - 2 * radius + x])
    score = np.exp(score * 3)
    return (score / score.sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize("cuts", [[], [7], [1, 2, 20]])
def test_on_the_same_grid_labels_are_the_argmax_and_certainty_its_probability(cuts: list[int]) -> None:
    probability = _smooth_probability((22, 25, 31))
    shape = probability.shape[1:]
    labels, certainty = np.full(shape, 9, np.uint8), np.full(shape, 9, np.uint8)
    where = tuple(positions(n, 0.7, 0.7) for n in shape)
    write_labels(_slabs(probability, cuts), shape, where, labels, certainty)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    assert np.array_equal(labels, probability.argmax(axis=0))
    computed = certainty > 0
    assert computed[labels > 0].all()
    assert np.abs(certainty / CERTAIN - probability.max(axis=0))[computed].max() <= 0.5 / CERTAIN + 1e-6


@pytest.mark.parametrize("cuts", [[], [5, 6, 18]])
def test_the_cropped_slab_by_slab_answer_is_the_whole_interpolation(cuts: list[int]) -> None:
    """Compared with direct trilinear interpolation of every class, on a grid with another spacing on every axis."""
    from scipy.ndimage import map_coordinates

    probability = _smooth_probability((24, 26, 28))
    counts = probability.shape[1:]
    shape, spacing = (7, 40, 61), (2.4, 0.455, 0.3213)
    where = tuple(positions(n, s, 0.7) for n, s in zip(shape, spacing, strict=True))
    labels, certainty = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    write_labels(_slabs(probability, cuts), counts, where, labels, certainty)
    points = np.meshgrid(*where, indexing="ij")
    direct = np.stack([map_coordinates(p, points, order=1, mode="nearest") for p in probability])
    best = np.sort(direct, axis=0)
    decided = best[-1] - best[-2] > 1e-5  # elsewhere rounding may choose
    assert decided.mean() > 0.999
    assert np.array_equal(labels[decided], direct.argmax(axis=0)[decided])


def test_structures_outside_the_target_are_background() -> None:
    """Only part of a volume is written, and all structures are outside it."""
    probability = np.zeros((2, 12, 12, 12), np.float32)
    probability[0] = 1.0
    probability[:, :, :3] = [[[[0.0]]], [[[1.0]]]]
    where = tuple(np.arange(6.0, 10.0) for _ in range(3))
    labels, certainty = np.full((4, 4, 4), 7, np.uint8), np.full((4, 4, 4), 7, np.uint8)
    write_labels(_slabs(probability, []), (12, 12, 12), where, labels, certainty)
    assert not labels.any()
    assert not certainty.any()


def test_upsampling_probabilities_is_better_than_upsampling_labels() -> None:
    """The reason for this method: a thin curved shell, known at 0.35 mm, sampled at 0.7 mm."""
    fine, coarse = (_shell(n, 33.6 / n) for n in (96, 48))
    truth = fine > 0.5
    probability = np.stack([1 - coarse, coarse]).astype(np.float32)
    shape = truth.shape
    where = tuple(positions(n, 0.35, 0.7) for n in shape)
    labels, certainty = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    write_labels(_slabs(probability, []), probability.shape[1:], where, labels, certainty)
    nearest = np.kron(coarse > 0.5, np.ones((2, 2, 2), bool))

    def dice(found: np.ndarray) -> float:
        return 2 * (found & truth).sum() / (found.sum() + truth.sum())

    assert dice(labels == 1) > 0.96 > dice(nearest)


def _shell(count: int, spacing: float) -> np.ndarray:
    """Fraction of each voxel inside a 2 mm shell around a sphere of 12 mm radius."""
    axis = (np.arange(count) + 0.5) * spacing - 16.8
    radius = np.sqrt(sum(c**2 for c in np.meshgrid(axis, axis, axis, indexing="ij")))
    return np.clip((1.0 - np.abs(radius - 13.0)) / spacing + 0.5, 0, 1)

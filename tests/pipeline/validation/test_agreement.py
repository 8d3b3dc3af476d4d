"""Overlap and distances of shapes with known results."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.validation.agreement import agreement

SPACING = (0.5, 0.5, 0.5)


def cube(shift: int = 0, size: int = 20) -> np.ndarray:
    mask = np.zeros((50, 50, 50), bool)
    mask[10 + shift : 10 + shift + size, 10:30, 10:30] = True
    return mask


def slab(first: int, last: int) -> np.ndarray:
    """A plate across the whole image, perpendicular to the first axis."""
    mask = np.zeros((40, 12, 12), bool)
    mask[first:last] = True
    return mask


def test_equal_masks_agree_completely() -> None:
    found = agreement(cube(), cube(), SPACING)
    assert (found.dice, found.mean_surface_distance_mm, found.volume_bias_percent) == (1.0, 0.0, 0.0)


def test_a_shifted_cube_is_off_by_its_shift() -> None:
    found = agreement(cube(shift=2), cube(), SPACING)
    assert found.dice == pytest.approx(18 / 20)
    assert found.hausdorff95_mm == pytest.approx(1.0)
    assert found.volume_bias_percent == 0.0


def test_the_mean_distance_counts_both_surfaces_in_mm() -> None:
    # one side coincides, the other is 3 voxels of 0.8 mm off: half of all distances are 2.4 mm
    found = agreement(slab(10, 23), slab(10, 20), (0.8, 0.3, 0.3))
    assert found.mean_surface_distance_mm == pytest.approx(1.2)
    assert found.volume_bias_percent == pytest.approx(30.0)


def test_where_the_image_cuts_a_structure_is_no_surface() -> None:
    assert agreement(slab(0, 20), slab(0, 20), SPACING).hausdorff95_mm == 0.0
    assert agreement(slab(0, 22), slab(0, 20), SPACING).mean_surface_distance_mm == pytest.approx(1.0)


def test_a_missing_structure_counts_as_no_overlap() -> None:
    found = agreement(np.zeros_like(cube()), cube(), SPACING)
    assert found.dice == 0.0
    assert found.mean_surface_distance_mm == np.inf


def test_a_longer_cube_has_the_expected_volume_error() -> None:
    assert agreement(cube(size=23), cube(), SPACING).volume_bias_percent == pytest.approx(15.0)

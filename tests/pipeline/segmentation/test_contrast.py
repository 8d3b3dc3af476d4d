"""How bright cartilage is relative to marrow, whatever the cortical bone, the voxels and the noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.segmentation.contrast import marrow_contrast
from pipeline.types import Segmentation
from tests.support.knees import coarse_knee, turned_knee

CORTEX = 0.0


def image_of(knee: Segmentation, *, cartilage: float, marrow: float) -> np.ndarray:
    """Marrow with a dark rim of one voxel, and noise."""
    inside = knee.mask(Structure.FEMUR)
    rim = inside & ~np.all([np.roll(inside, s, axis) for axis in range(3) for s in (1, -1)], axis=0)
    image = np.where(inside, marrow, 10.0)
    image[rim] = CORTEX
    image[knee.mask(Structure.FEMORAL_CARTILAGE)] = cartilage
    noise = np.random.default_rng(2).normal(0.0, 5.0, image.shape)
    return np.asarray(image + noise, np.float32)


@pytest.mark.parametrize("make", [turned_knee, coarse_knee], ids=["fine", "coarse"])
@pytest.mark.parametrize(("cartilage", "marrow"), [(60.0, 180.0), (150.0, 60.0)], ids=["T1", "fat_suppressed"])
def test_the_contrast_is_the_ratio_of_the_signals(
    make: Callable[[], Segmentation], cartilage: float, marrow: float
) -> None:
    knee = make()
    found = marrow_contrast(knee, image_of(knee, cartilage=cartilage, marrow=marrow))
    assert found == pytest.approx(cartilage / marrow, rel=0.02)


def test_the_contrast_is_unknown_without_cartilage_or_signal() -> None:
    knee = coarse_knee()
    image = image_of(knee, cartilage=60.0, marrow=180.0)
    bare = replace(knee, labels=np.where(knee.labels == Structure.FEMORAL_CARTILAGE, 0, knee.labels).astype(np.uint8))
    assert marrow_contrast(bare, image) is None
    assert marrow_contrast(knee, np.zeros_like(image)) is None

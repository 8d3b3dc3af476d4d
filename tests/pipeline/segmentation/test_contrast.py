"""How bright cartilage is relative to marrow, whatever the cortical bone, the voxels and the noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.segmentation.contrast import marrow_contrast
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.models.knee_edges import shows_edges
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.unet import Answer, View
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


@pytest.mark.parametrize(("cartilage", "marrow", "located"), [(60.0, 180.0, False), (150.0, 60.0, True)])
def test_edges_are_located_unless_cartilage_is_dark_beside_marrow(
    cartilage: float, marrow: float, located: bool
) -> None:
    knee = coarse_knee()
    order = nearest_order(knee.grid, "RAS")
    labels = order.to_network(knee.labels)
    answer = Answer(labels=labels, certainty=np.zeros_like(labels), structures={int(s): s for s in knee.boxes})
    image = order.to_network(image_of(knee, cartilage=cartilage, marrow=marrow))
    frame = Frame(shape=labels.shape, spacing_mm=order.spacing_mm(knee.grid), resolution_mm=0.7)
    assert shows_edges(View(order=order, image=image, frame=frame), answer) is located

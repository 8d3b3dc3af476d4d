"""Joint fluid that a network labelled as cartilage, found by the image's own statistics.

In fat-suppressed and T2-weighted images, fluid is several times as bright as cartilage, and networks take a part of it
for cartilage where both touch. Where fluid is not that bright, nothing is changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import CARTILAGE_OF, PLATE_ON, Structure
from pipeline.grid import Box, Grid
from pipeline.types import LabelArray, Segmentation

Mask = NDArray[np.bool_]

FLUID_RATIO: Final = 2.0
"""Fluid is brighter than this times the cartilage."""
DIM_PERCENTILE: Final = 25.0
"""Percentile of a plate's own brightness that is cartilage even where half of the plate is fluid. A plate near a
surface coil is brighter than the femoral one."""
LEAST_BODY_MM3: Final = 20.0
"""Smaller bright bodies are noise: this is a film of 0.5 mm on 0.4 cm2 of a plate."""
LEAST_OUTSIDE: Final = 0.1
"""A body of fluid has at least this fraction of its volume outside the cartilage. A bright lesion has less."""
STATED_SHARE: Final = 0.1
"""Fraction of a plate from which a warning states that it was left out."""


def without_fluid(segmentation: Segmentation, image: NDArray[np.float32]) -> Segmentation:
    """The same with fluid removed from the cartilage, and a warning where that was much.

    image (z, y, x): on the grid of the labels
    """
    labels, femoral = segmentation.labels, segmentation.boxes.get(Structure.FEMORAL_CARTILAGE)
    if femoral is None:
        return segmentation
    level = float(np.median(image[femoral][labels[femoral] == Structure.FEMORAL_CARTILAGE]))
    found: list[tuple[Box, Mask]] = []
    warnings = []
    for bone, plates in CARTILAGE_OF.items():
        boxes = [segmentation.boxes[plate] for plate in plates if plate in segmentation.boxes]
        if not boxes:
            continue
        box = _around(boxes, labels.shape)
        here = _fluid(labels[box], plates, image[box], level, segmentation.grid)
        if here is None:
            continue
        fluid, share = here
        found.append((box, fluid))
        if share >= STATED_SHARE:
            name = PLATE_ON[bone].display_name
            warnings.append(f"{name}: {share:.0%} of the network's outline was as bright as fluid and was left out.")
    if not found:
        return segmentation
    cleaned = labels.copy()
    for box, fluid in found:
        cleaned[box][fluid] = 0
    return replace(segmentation, labels=cleaned, warnings=(*segmentation.warnings, *warnings))


def _fluid(
    labels: LabelArray, plates: tuple[Structure, ...], image: NDArray[np.float32], femoral_level: float, grid: Grid
) -> tuple[Mask, float] | None:
    """Voxels of one bone's cartilage that belong to a bright body which continues outside, and their fraction of it."""
    table = np.zeros(256, dtype=bool)
    table[list(plates)] = True
    plate = table[labels]
    values = image[plate]
    level = max(femoral_level, float(np.percentile(values, DIM_PERCENTILE)))
    least = LEAST_BODY_MM3 / grid.voxel_volume_mm3
    if level <= 0 or np.count_nonzero(values > FLUID_RATIO * level) < LEAST_OUTSIDE * least:
        return None  # in most images: nothing else is computed
    inside, outside = plate & (image > FLUID_RATIO * level), labels == 0
    bodies, count = ndimage.label(inside | (outside & (image > FLUID_RATIO * femoral_level)))
    volumes = np.bincount(bodies.reshape(-1), minlength=count + 1)
    beyond = np.bincount(bodies[outside], minlength=count + 1)
    is_fluid = (volumes >= least) & (beyond >= LEAST_OUTSIDE * volumes)
    is_fluid[0] = False
    fluid: Mask = inside & is_fluid[bodies]
    removed = np.count_nonzero(fluid)
    return (fluid, removed / len(values)) if removed else None


def _around(boxes: list[Box], shape: tuple[int, ...]) -> Box:
    """The box around all of them and one voxel more."""
    z, y, x = (
        slice(max(0, min(part.start for part in parts) - 1), min(n, max(part.stop for part in parts) + 1))
        for parts, n in zip(zip(*boxes, strict=True), shape, strict=True)
    )
    return z, y, x

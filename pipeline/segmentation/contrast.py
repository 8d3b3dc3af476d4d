"""How bright cartilage is relative to bone marrow: the property of an image by which sequences differ most.

In synthetic scans it is about 0.3 in T1, 0.6 in PD, 1 to 2 in DESS, and 2 to 3 where fat is suppressed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.types import LabelArray, Segmentation

DEEP_MM: Final = 3.0
"""Marrow is what lies further than this inside the femur, along each axis of the image: cortical bone is dark."""
STEP_MM: Final = 1.2
"""Distance at which the image is sampled."""


def marrow_contrast(segmentation: Segmentation, image: NDArray[np.float32]) -> float | None:
    """Of canonical labels. image (z, y, x): on their grid."""
    spacing = segmentation.grid.spacing_mm
    return signal_ratio(segmentation.labels, image, spacing, Structure.FEMUR, Structure.FEMORAL_CARTILAGE)


def signal_ratio(
    labels: LabelArray,
    image: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    femur: int,
    cartilage: int,
) -> float | None:
    """Median of the femoral cartilage divided by the median of the femur's marrow.

    labels, image  (a, b, c) on the same grid, with this spacing; femur, cartilage: labels

    None without cartilage or marrow, or where marrow has no signal.
    """
    stride = [max(1, round(STEP_MM / mm)) for mm in spacing_mm]
    steps = tuple(slice(None, None, step) for step in stride)
    labels, image = labels[steps], image[steps]
    inside = labels == femur
    marrow = inside.copy()
    for axis, (mm, step) in enumerate(zip(spacing_mm, stride, strict=True)):
        reach = max(1, round(DEEP_MM / (mm * step)))
        along, deep = np.moveaxis(inside, axis, 0), np.moveaxis(marrow, axis, 0)
        deep[:reach] = False
        deep[len(deep) - reach :] = False
        deep[reach:] &= along[:-reach]
        deep[:-reach] &= along[reach:]
    covered = labels == cartilage
    if not marrow.any() or not covered.any():
        return None
    level = float(np.median(image[marrow]))
    return float(np.median(image[covered])) / level if level > 0 else None

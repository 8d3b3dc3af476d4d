"""How bright cartilage is relative to bone marrow: the property of an image by which sequences differ most.

In synthetic scans it is about 0.3 in T1, 0.6 in PD, 1 to 2 in DESS, and 2 to 3 where fat is suppressed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.types import Segmentation

DEEP_MM: Final = 3.0
"""Marrow is what lies further than this inside the femur, along each axis of the image: cortical bone is dark."""
STEP_MM: Final = 1.2
"""Distance at which marrow is sampled."""


def marrow_contrast(segmentation: Segmentation, image: NDArray[np.float32]) -> float | None:
    """Median of the femoral cartilage divided by the median of the femur's marrow.

    image (z, y, x): on the grid of the labels. None without cartilage or marrow, or where marrow has no signal.
    """
    box, plate = segmentation.boxes.get(Structure.FEMUR), segmentation.boxes.get(Structure.FEMORAL_CARTILAGE)
    if box is None or plate is None:
        return None
    spacing = segmentation.grid.spacing_mm
    steps = tuple(slice(None, None, max(1, round(STEP_MM / mm))) for mm in spacing)
    inside = (segmentation.labels[box] == Structure.FEMUR)[steps]
    marrow = inside.copy()
    for axis, (mm, step) in enumerate(zip(spacing, steps, strict=True)):
        reach = max(1, round(DEEP_MM / (mm * step.step)))
        along, deep = np.moveaxis(inside, axis, 0), np.moveaxis(marrow, axis, 0)
        deep[:reach] = False
        deep[len(deep) - reach :] = False
        for shift in (reach, -reach):
            deep &= np.roll(along, shift, axis=0)
    values = image[box][steps][marrow]
    level = float(np.median(values)) if values.size else 0.0
    if level <= 0:
        return None
    cartilage = image[plate][segmentation.labels[plate] == Structure.FEMORAL_CARTILAGE]
    return float(np.median(cartilage)) / level

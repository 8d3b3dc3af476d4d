"""What the first pass said, kept in small steps for the second one that reads edges (boundaries/)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.sampling import FloatVolume
from pipeline.segmentation.upsampling import Slabs

STEPS: Final = 255
"""Probabilities are kept in so many steps."""


def recorded(slabs: Slabs, kept: NDArray[np.uint8]) -> Iterator[tuple[int, FloatVolume]]:
    """The same slabs; what they say of every class but the background is written to kept (classes - 1, d, h, w)."""
    for start, slab in slabs:
        kept[:, start : start + slab.shape[1]] = np.rint(slab[1:] * STEPS)
        yield start, slab

"""First-pass probabilities, 8-bit: the input of the edge networks (edges/)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.sampling import FloatVolume
from pipeline.segmentation.upsampling import Slabs

PROBABILITY_LEVELS: Final = 255
"""Probability 1 is stored as this."""


def recorded(slabs: Slabs, kept: NDArray[np.uint8]) -> Iterator[tuple[int, FloatVolume]]:
    """The same slabs; every class but the background is also written to kept (classes - 1, d, h, w)."""
    for start, slab in slabs:
        for row in range(slab.shape[1]):  # temporary arrays of one row stay in the processor's cache
            kept[:, start + row] = np.rint(slab[1:, row] * PROBABILITY_LEVELS)
        yield start, slab

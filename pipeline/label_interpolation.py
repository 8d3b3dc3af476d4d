"""Detects label maps that were resampled with interpolation.

Between label 7 and the background, linear interpolation writes a shell of the labels 1 to 6, one voxel thick.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_SHARE: Final = 0.1
"""Share of intermediate values among the borders of two labels that are not neighbours in number, above which a map
counts as interpolated; expert maps are below 0.01."""

LEAST_BORDERS: Final = 500
"""Fewer borders are too few to judge."""


def interpolated_share(labels: NDArray[np.integer]) -> float:
    """Share of the borders between two labels (numbers more than 1 apart) that hold one voxel of a value in between.

    labels: (z, y, x) as stored in the file, before any conversion. 0 if there are too few borders.
    """
    between = direct = 0
    for axis in range(3):
        values = np.moveaxis(labels, axis, 0)
        before, here, after = values[:-2], values[1:-1], values[2:]
        changed = (before != here) & (before != after)
        low, middle, high = (part[changed].astype(np.int32) for part in (before, here, after))
        between += int((((low < middle) & (middle < high)) | ((low > middle) & (middle > high))).sum())
        direct += int(((np.abs(low - middle) > 1) & (middle == high)).sum())
    total = between + direct
    return between / total if total >= LEAST_BORDERS else 0.0

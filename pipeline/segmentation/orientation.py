"""Converts arrays to the axes used in a network's training, by permuting and flipping axes, never by resampling.

Their axis code has a letter per array axis: the patient direction of increasing index (`grid.axes_of`). `RAS`: axis 0
points to the patient's right, axis 1 anterior, axis 2 superior.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import Box, Grid, axes_of

Scalar = TypeVar("Scalar", bound=np.generic)
"""The voxel type, which a change of axes keeps."""


@dataclass(frozen=True, kw_only=True)
class AxisOrder:
    """From arrays (z, y, x) on a grid to arrays in a network's axes, and back.

    order   which array axis (0 z, 1 y, 2 x) becomes the network's axis 0, 1, 2
    flipped whether it is then reversed
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def to_network(self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """(z, y, x) -> the network's axes; a view."""
        return array.transpose(self.order)[self._steps]

    def from_network(self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """The network's axes -> (z, y, x); a view."""
        back = tuple(self.order.index(axis) for axis in range(3))
        return array[self._steps].transpose(back)

    def spacing_mm(self, grid: Grid) -> tuple[float, float, float]:
        """Spacing along the network's axes 0, 1, 2."""
        a, b, c = (grid.spacing_mm[axis] for axis in self.order)
        return a, b, c

    @property
    def _steps(self) -> Box:
        a, b, c = (slice(None, None, -1 if flip else None) for flip in self.flipped)
        return a, b, c


def nearest_order(grid: Grid, code: str) -> AxisOrder:
    """The permutation and flips of the grid's axes closest to the axis code; oblique grids stay oblique."""
    stored = grid.direction[:, ::-1]  # column k: LPS direction of array axis k, (z, y, x)
    cosines = stored.T @ axes_of(code)
    best = max(permutations(range(3)), key=lambda order: sum(abs(cosines[axis, k]) for k, axis in enumerate(order)))
    a, b, c = best
    return AxisOrder(order=(a, b, c), flipped=(cosines[a, 0] < 0, cosines[b, 1] < 0, cosines[c, 2] < 0))

"""A field on a regular lattice, interpolated by quadratic B-splines: smooth, with a continuous gradient.

At a point, three nodes per axis are used, the closest and its neighbours, with the weights (1/2 - t)^2 / 2, 3/4 - t^2
and
(1/2 + t)^2 / 2, t the distance to the closest in cells (M. Unser, IEEE Signal Processing Magazine 16(6), 1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.grid import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """Nodes at low + cell_mm * (i, j, k); arrays over the nodes are in C order of (x, y, z).

    low (3,) mm; cell_mm; counts: nodes along x, y, z, at least 3 each.
    """

    low: FloatArray
    cell_mm: float
    counts: tuple[int, int, int]

    @classmethod
    def over(cls, low: FloatArray, high: FloatArray, cell_mm: float) -> Lattice:
        """The smallest lattice starting at `low` with every point of the box between nodes."""
        n = np.ceil((np.asarray(high) - low) / cell_mm).astype(int) + 1
        return cls(low=np.asarray(low, dtype=np.float64), cell_mm=cell_mm, counts=(int(n[0]), int(n[1]), int(n[2])))

    @property
    def size(self) -> int:
        return int(np.prod(self.counts))

    def nodes(self) -> FloatArray:
        """(size, 3) mm."""
        axes = [self.low[k] + self.cell_mm * np.arange(n) for k, n in enumerate(self.counts)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def around(self, points_mm: FloatArray) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The 27 nodes used at each point (n, 3) mm: indices and weights, (n, 27). Outside: as at the edge."""
        near, weights = zip(*(self._along(points_mm[:, k], k) for k in range(3)), strict=True)
        _, ny, nz = self.counts
        index = (near[0][:, :, None, None] * ny + near[1][:, None, :, None]) * nz + near[2][:, None, None, :]
        weight = weights[0][:, :, None, None] * weights[1][:, None, :, None] * weights[2][:, None, None, :]
        n = len(points_mm)
        return index.reshape(n, 27).astype(np.int32), weight.reshape(n, 27).astype(np.float32)

    def sampling(self, points_mm: FloatArray) -> sparse.csr_matrix:
        """(n, size) matrix: multiplied by node values, it gives the field at the points (n, 3) mm."""
        index, weight = self.around(points_mm)
        rows = np.arange(len(points_mm) + 1) * 27
        return sparse.csr_matrix((weight.reshape(-1), index.reshape(-1), rows), shape=(len(points_mm), self.size))

    def on_axes(self, values: NDArray[np.float32], axes: tuple[FloatArray, ...]) -> NDArray[np.float32]:
        """Node values (size,) -> the field on the grid of three axes (x, y, z) mm, in that order of axes."""
        field = values.reshape(self.counts)
        for axis, place in enumerate(axes):
            near, weight = self._along(place, axis)
            matrix = np.zeros((len(place), self.counts[axis]), dtype=np.float32)
            np.put_along_axis(matrix, near, weight.astype(np.float32), axis=1)
            field = np.moveaxis(np.tensordot(matrix, field, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(field, dtype=np.float32)

    def _along(self, place_mm: FloatArray, axis: int) -> tuple[NDArray[np.int64], FloatArray]:
        """The three nodes along one axis and their weights, (n, 3) each."""
        count = self.counts[axis]
        where = np.clip((place_mm - self.low[axis]) / self.cell_mm, 0.5, count - 1.5)
        middle = np.clip(np.rint(where), 1, count - 2)
        t = where - middle
        weights = np.stack([(0.5 - t) ** 2 / 2, 0.75 - t**2, (0.5 + t) ** 2 / 2], axis=1)
        return middle.astype(np.int64)[:, None] + np.arange(-1, 2), weights

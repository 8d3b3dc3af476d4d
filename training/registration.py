"""Point-set registration of knees: similarity ICP and smooth free-form warps, per structure.

Points are (n, 3) in millimetres. A knee is a mapping from a key (a structure or a part of one) to its points. Closest
points are searched only under the same key, so that a femur is never matched to a tibia.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
Points = Mapping[Any, FloatArray]
Trees = Mapping[Any, cKDTree]
"""Keyed by structure, or by part of one."""

MIRROR = np.diag([-1.0, 1.0, 1.0])
"""Swaps left and right in LPS."""


def trees_of(points: Points) -> dict[Any, cKDTree]:
    """Search trees of the fixed knee."""
    return {key: cKDTree(p) for key, p in points.items()}


def apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Apply a (4, 4) homogeneous matrix to (n, 3) points."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def fit_similarity(source: FloatArray, target: FloatArray) -> FloatArray:
    """(4, 4) rotation, one scale and translation that bring source (n, 3) closest to target (n, 3).

    Least squares in closed form: S. Umeyama, IEEE PAMI 13(4), 1991, equations 40 to 42.
    """
    a, b = source.mean(0), target.mean(0)
    u, s, vt = np.linalg.svd((target - b).T @ (source - a))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / ((source - a) ** 2).sum())
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = b - matrix[:3, :3] @ a
    return matrix


def similarity_icp(
    moving: Points, fixed: Trees, start: FloatArray, *, rounds: int = 30, keep: float = 0.85
) -> tuple[FloatArray, float]:
    """Align a knee to a fixed one by trimmed iterative closest points.  A reflection in start (4, 4) is kept. Returns
    the (4, 4) matrix and the mean distance, mm, of all points (each limited to 8 mm, so that a shaft cut shorter in one
    scan does not dominate).
    """
    matrix = start
    for _ in range(rounds):
        pairs = []
        for key, points in moving.items():
            here = apply(matrix, points)
            distance, index = fixed[key].query(here)
            close = distance <= np.quantile(distance, keep)
            pairs.append((here[close], fixed[key].data[index[close]]))
        step = fit_similarity(np.concatenate([p for p, _ in pairs]), np.concatenate([q for _, q in pairs]))
        matrix = step @ matrix
    far = [np.minimum(fixed[key].query(apply(matrix, p))[0], 8.0) for key, p in moving.items()]
    return matrix, float(np.concatenate(far).mean())


def centred_start(moving: Points, fixed: Trees, *, linear: FloatArray) -> FloatArray:
    """(4, 4) start for the ICP: `linear` (3, 3), e.g. a mirror image, then matching centroids."""
    here = np.mean([points.mean(0) for points in moving.values()], axis=0)
    there = np.mean([fixed[key].data.mean(0) for key in moving], axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = there - linear @ here
    return matrix


def align_either_side(moving: Points, fixed: Points) -> tuple[FloatArray, float, FloatArray, float]:
    """Similarity ICP of a knee and of its mirror image.

    Returns (matrix, residual mm) for the knee, then for its mirror image: the lower residual identifies the side.
    """
    trees = trees_of(fixed)
    same, same_mm = similarity_icp(moving, trees, centred_start(moving, trees, linear=np.eye(3)))
    other, other_mm = similarity_icp(moving, trees, centred_start(moving, trees, linear=MIRROR))
    return same, same_mm, other, other_mm


class KernelWarp:
    """A smooth displacement field on a coarse lattice over a box, trilinear between its nodes.

    low, high (3,) mm: corners of the box; cell_mm: node spacing.
    """

    def __init__(self, low: FloatArray, high: FloatArray, *, cell_mm: float = 3.0) -> None:
        self.low, self.cell_mm = np.asarray(low, np.float64), cell_mm
        self.shape = tuple(int(n) for n in np.ceil((np.asarray(high) - self.low) / cell_mm) + 1)
        axes = [self.low[k] + cell_mm * np.arange(n) for k, n in enumerate(self.shape)]
        self.nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        self.displacement = np.zeros_like(self.nodes)

    def at(self, points: FloatArray) -> FloatArray:
        """Displacement (n, 3), mm, at points (n, 3); outside the box, the value at its nearest face."""
        top = np.array(self.shape) - 1
        where = np.clip((points - self.low) / self.cell_mm, 0, top - 1e-9)
        base = where.astype(np.intp)
        part = where - base
        first = np.ravel_multi_index(tuple(base.T), self.shape)
        sides = [(1.0 - p, p) for p in np.ascontiguousarray(part.T)]
        total = np.zeros_like(points)
        for corner in np.ndindex(2, 2, 2):
            x, y, z = (sides[axis][side] for axis, side in enumerate(corner))
            node = first + int(np.ravel_multi_index(corner, self.shape))
            total += (x * y * z)[:, None] * self.displacement[node]
        return total

    def on_axes(self, x: FloatArray, y: FloatArray, z: FloatArray) -> NDArray[np.float32]:
        """Displacement (z, y, x, 3), mm, on the grid of three axes: same result as `at`, faster because separable."""
        field = self.displacement.reshape(*self.shape, 3)
        for k, axis in enumerate((x, y, z)):
            top = self.shape[k] - 1
            where = np.clip((axis - self.low[k]) / self.cell_mm, 0, top - 1e-9)
            base = where.astype(np.intp)
            weights = np.zeros((len(axis), self.shape[k]))
            rows = np.arange(len(axis))
            weights[rows, base] = 1.0 - (where - base)
            weights[rows, base + 1] = where - base
            field = np.moveaxis(np.tensordot(weights, field, axes=(1, k)), 0, k)
        return np.ascontiguousarray(field.transpose(2, 1, 0, 3), dtype=np.float32)

    def fit(
        self, moving: Points, fixed: Trees, *, widths_mm: tuple[float, ...], reach_mm: float, damping: float = 2.0
    ) -> None:
        """Add displacements that move the points to their closest fixed points, coarse to fine.

        widths_mm: SD of the Gaussian kernel, one value per round. Pairs further apart than reach_mm are ignored.
        `damping` is the weight of zero displacement in each average: the field vanishes far from any point.
        """
        current = {key: p + self.at(p) for key, p in moving.items()}
        for width in widths_mm:
            here, step = [], []
            for key, points in current.items():
                distance, index = fixed[key].query(points, distance_upper_bound=reach_mm)
                near = np.isfinite(distance)
                here.append(moving[key][near])
                step.append(fixed[key].data[index[near]] - points[near])
            self.displacement += self._smoothed(np.concatenate(here), np.concatenate(step), width, damping)
            current = {key: p + self.at(p) for key, p in moving.items()}

    def _smoothed(self, points: FloatArray, steps: FloatArray, width_mm: float, damping: float) -> FloatArray:
        """Gaussian-weighted mean of the steps (n, 3) at the nodes; points are binned to their nearest node first."""
        index = np.clip(np.rint((points - self.low) / self.cell_mm).astype(np.intp), 0, np.array(self.shape) - 1)
        flat = np.ravel_multi_index(tuple(index.T), self.shape)
        width = width_mm / self.cell_mm
        peak = (2.0 * np.pi) ** 1.5 * width**3
        binned = [np.bincount(flat, values, len(self.nodes)) for values in (np.ones(len(points)), *steps.T)]
        sums = [peak * gaussian_filter(part.reshape(self.shape), width, mode="constant") for part in binned]
        return np.stack([s.ravel() / (sums[0].ravel() + damping) for s in sums[1:]], axis=1)

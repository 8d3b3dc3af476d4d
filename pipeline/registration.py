"""Registration of bone surfaces: a coarse fit by trimmed closest points, then a fine fit by distances to tangent
planes.

Points are (n, 3) in mm; matrices (4, 4) homogeneous, source -> target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pipeline.grid import FloatArray
from pipeline.types import Surface

FACING: Final = 0.5
"""Minimum cosine between the normals of a pair: excludes pairs of the cap of a cut shaft with the shaft itself."""

LEAST_WEIGHT: Final = 0.2
SCALES: Final = (0.6, 1.6)
"""If the mean weight of the pairs or the scale is outside these bounds, the fit has failed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """The moving points (n, 3) with their outward unit normals (n, 3)."""

    points: FloatArray
    normals: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The fixed surface and the search tree of its vertices."""

    surface: Surface

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.surface.points_mm, balanced_tree=False, compact_nodes=False)


def apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """(n, 3) transformed points."""
    moved: FloatArray = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def scale_of(matrix: FloatArray) -> float:
    """Scale factor of a similarity matrix."""
    return float(np.cbrt(abs(np.linalg.det(matrix[:3, :3]))))


def best_fit(source: FloatArray, target: FloatArray, *, scaled: bool) -> FloatArray:
    """(4, 4): the least-squares similarity source -> target, or the rigid motion (Umeyama, IEEE PAMI 1991, 13:376)."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (d * sign).sum() / (s**2).sum(axis=1).mean() if scaled else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = scale * ((u * sign) @ vt)
    matrix[:3, 3] = mean_t - matrix[:3, :3] @ mean_s
    return matrix


def coarse_fit(
    source: FloatArray,
    target: Target,
    matrix: FloatArray,
    *,
    scaled: bool,
    keep: float,
    tolerance_mm: float,
    most_iterations: int,
) -> FloatArray:
    """(4, 4) from iterative closest points, using the fraction `keep` of the shortest distances, starting from
    `matrix`. Stops when no point moves further than tolerance_mm.
    """
    points = target.surface.points_mm
    for _ in range(most_iterations):
        moved = apply(matrix, source)
        distance, nearest = target.tree.query(moved)
        chosen = distance <= np.quantile(distance, keep)
        matrix = best_fit(source[chosen], points[nearest[chosen]], scaled=scaled)
        if np.abs(apply(matrix, source) - moved).max() < tolerance_mm:
            break
    return matrix


def affine_fit(source: FloatArray, target: FloatArray, *, keep: float = 0.85, iterations: int = 15) -> FloatArray:
    """(4, 4): the affine map that brings points (n, 3) onto others (m, 3), from their present places.

    Iterative closest points with least squares, using the fraction `keep` of the shortest distances.
    """
    tree = cKDTree(target, balanced_tree=False, compact_nodes=False)
    matrix = np.eye(4)
    for _ in range(iterations):
        distance, nearest = tree.query(apply(matrix, source))
        chosen = distance <= np.quantile(distance, keep)
        ones = np.ones((int(chosen.sum()), 1))
        solution = np.linalg.lstsq(np.hstack([source[chosen], ones]), target[nearest[chosen]], rcond=None)[0]
        matrix[:3] = solution.T
    return matrix


def fine_fit(
    source: Patch,
    target: Target,
    matrix: FloatArray,
    *,
    scaled: bool,
    cutoff_mm: float,
    tolerance_mm: float,
    most_iterations: int,
) -> FloatArray | None:
    """(4, 4): Gauss-Newton on the distances to the tangent planes of the closest points, robustly weighted.

    Pairs further apart than cutoff_mm have weight 0; weights decrease towards it (Tukey's biweight). Stops when no
    point moves further than tolerance_mm. Points are from the source and planes from the target, so the result does not
    depend on the order or pose of the target's vertices. Returns None if the fit fails.
    """
    surface = target.surface
    for _ in range(most_iterations):
        moved = apply(matrix, source.points)
        distance, nearest = target.tree.query(moved, distance_upper_bound=cutoff_mm)
        nearest = np.where(np.isfinite(distance), nearest, 0)  # too distant: weight 0
        normals = surface.normals[nearest]
        weight = _weights(source.normals, normals, matrix, distance, cutoff_mm)
        if weight.mean() < LEAST_WEIGHT or not SCALES[0] < scale_of(matrix) < SCALES[1]:
            return None
        off = np.einsum("ij,ij->i", moved - surface.points_mm[nearest], normals)
        middle = np.average(moved, axis=0, weights=weight)
        arm = moved - middle
        jacobian = np.concatenate([np.cross(arm, normals), normals], axis=1)
        if scaled:
            jacobian = np.concatenate([jacobian, np.einsum("ij,ij->i", arm, normals)[:, None]], axis=1)
        weighted = jacobian * weight[:, None]
        step = -np.linalg.solve(weighted.T @ jacobian, weighted.T @ off)
        update = np.eye(4)
        size = np.exp(step[6]) if scaled else 1.0
        update[:3, :3] = size * Rotation.from_rotvec(step[:3]).as_matrix()
        update[:3, 3] = middle + step[3:6] - update[:3, :3] @ middle
        matrix = update @ matrix
        if np.abs(apply(matrix, source.points) - moved).max() < tolerance_mm:
            break
    return matrix


def _weights(
    source_normals: FloatArray, normals: FloatArray, matrix: FloatArray, distance: FloatArray, cutoff_mm: float
) -> FloatArray:
    """(n,) Tukey's biweight of each pair's distance; 0 if the normals do not point in similar directions."""
    facing = np.einsum("ij,ij->i", source_normals @ matrix[:3, :3].T, normals)
    facing /= scale_of(matrix)
    weights: FloatArray = np.square(1 - np.minimum(distance / cutoff_mm, 1.0) ** 2) * (facing > FACING)
    return weights


def evenly(points_mm: FloatArray, count: int) -> FloatArray:
    """About `count` points, one per cubic cell: the mean of its points, independent of their order."""
    middle = (points_mm.max(axis=0) + points_mm.min(axis=0)) / 2
    local = points_mm - middle
    size = float(np.sqrt(3.6 * np.prod(np.sort(np.ptp(local, axis=0))[1:]) / count))
    cell = np.rint(local / size).astype(np.int64) + 512
    key = (cell[:, 0] * 1024 + cell[:, 1]) * 1024 + cell[:, 2]
    _, member, n = np.unique(key, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(member, weights=local[:, k]) for k in range(3)], axis=1)
    chosen: FloatArray = sums / n[:, None] + middle
    return chosen


def chosen_rows(points_mm: FloatArray, count: int) -> NDArray[np.int64]:
    """Row indices of about `count` evenly spaced vertices."""
    rows: NDArray[np.int64] = cKDTree(points_mm).query(evenly(points_mm, count))[1]
    return rows

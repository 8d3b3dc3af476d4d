"""Where a knee lies in the frame of the reference knee, and with it: left or right, medial or lateral.

The femur is laid on the reference femur and, mirrored, on it once more: the better fit names the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from pipeline.anatomy import Side, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.grid import FloatArray, Grid
from pipeline.image_io import read_label_map
from pipeline.surface import SMOOTHING_VARIANCE_MM2, contour, smoothed
from pipeline.types import Alignment, Surface

REFERENCE_PATH: Final = Path(__file__).parent.parent / "models" / "reference_knee" / "labels.nrrd"

POINTS: Final = (500, 3000)
"""About as many points of the patient's surface take part: first few, to come near, then all, to settle."""

REFERENCE_POINTS: Final = 12000

ITERATIONS: Final = 100
NEAR_MM: Final = 0.02
SETTLED_MM: Final = 1e-6
"""No point moves further than this in the last iteration: the first to tell the sides apart, the second so that a knee
and its mirror image end in the same place."""

KEEP: Final = 0.9
"""Share of the closest pairs kept in each iteration: osteophytes and cut ends must not pull."""

SHAFT_MM: Final = 62.0
"""Length of femur, from its distal end, that takes part: fields of view end anywhere along the shaft."""

PLAUSIBLE_MM: Final = 2.8
"""A femur whose mean distance to the reference is larger than this is none: balls and eggs stay above 3.0, femora of
expert maps below 1.1."""

UP: Final = 2
"""Column of superior in LPS, and in the reference frame."""

_MIRROR: Final = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """Points of the reference femur (right knee: +x medial, +y posterior, +z superior, mm) with a search tree."""

    points_mm: FloatArray
    tree: cKDTree


@lru_cache(maxsize=1)
def reference_femur() -> Reference:
    """The built-in reference, read once a process; every second voxel is enough for points two millimetres apart."""
    labels, grid = read_label_map(REFERENCE_PATH)
    femur = labels[::2, ::2, ::2] == Structure.FEMUR
    coarse = Grid(
        shape=(femur.shape[0], femur.shape[1], femur.shape[2]),
        spacing_mm=(2 * grid.spacing_mm[0], 2 * grid.spacing_mm[1], 2 * grid.spacing_mm[2]),
        origin_mm=grid.origin_mm,
        direction=grid.direction,
    )
    field = smoothed(femur, coarse, SMOOTHING_VARIANCE_MM2)
    points = contour(field)[0] @ grid.direction.T + field.grid.origin_mm
    points = evenly(distal(points), REFERENCE_POINTS)
    return Reference(points_mm=points, tree=cKDTree(points))


def distal(points_mm: FloatArray) -> FloatArray:
    """The points (n, 3) within SHAFT_MM of the distal end."""
    height = points_mm[:, UP]
    part: FloatArray = points_mm[height < height.min() + SHAFT_MM]
    return part


def evenly(points_mm: FloatArray, count: int) -> FloatArray:
    """About `count` points, one a cubic cell: the mean of the points in it.

    The cells are centred on the points' centroid, so a mirrored surface gives the mirrored points whatever order its
    vertices come in.
    """
    middle = (points_mm.max(axis=0) + points_mm.min(axis=0)) / 2
    local = points_mm - middle
    size = float(np.sqrt(3.6 * np.prod(np.sort(np.ptp(local, axis=0))[1:]) / count))
    cell = np.rint(local / size).astype(np.int64) + 512
    key = (cell[:, 0] * 1024 + cell[:, 1]) * 1024 + cell[:, 2]
    _, member, n = np.unique(key, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(member, weights=local[:, k]) for k in range(3)], axis=1)
    chosen: FloatArray = sums / n[:, None] + middle
    return chosen


def _similarity(source: FloatArray, target: FloatArray) -> FloatArray:
    """(4, 4): the least-squares similarity source -> target (Umeyama, IEEE PAMI 1991, 13:376)."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (d * sign).sum() / (s**2).sum(axis=1).mean()
    matrix = np.eye(4)
    matrix[:3, :3] = scale * ((u * sign) @ vt)
    matrix[:3, 3] = mean_t - matrix[:3, :3] @ mean_s
    return matrix


def _apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    moved: FloatArray = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def _centred(points: FloatArray, reference: Reference) -> FloatArray:
    """(4, 4): the shift that brings the distal ends and the middles of the two femora together."""
    low, high = points.min(axis=0), points.max(axis=0)
    matrix = np.eye(4)
    matrix[:3, 3] = (reference.points_mm.max(axis=0) + reference.points_mm.min(axis=0) - low - high) / 2
    matrix[UP, 3] = reference.points_mm[:, UP].min() - low[UP]
    return matrix


def _icp(points: FloatArray, reference: Reference, matrix: FloatArray, settled_mm: float) -> tuple[FloatArray, float]:
    """Iterative closest point with scale and trimming, from a first guess (4, 4), until no point moves further.

    Returns the similarity (4, 4) points -> reference, and the mean distance in mm of the pairs kept.
    """
    for _ in range(ITERATIONS):
        moved = _apply(matrix, points)
        distance, nearest = reference.tree.query(moved)
        keep = distance <= np.quantile(distance, KEEP)
        matrix = _similarity(points[keep], reference.points_mm[nearest[keep]])
        if np.abs(_apply(matrix, points) - moved).max() < settled_mm:
            break
    distance, _ = reference.tree.query(_apply(matrix, points))
    return matrix, float(np.sort(distance)[: int(KEEP * len(distance))].mean())


def align_knee(femur: Surface) -> Alignment:
    """Lay a femur on the reference femur, as it is and mirrored; the lower residual names the side.

    Raises ImplausibleAnatomy where neither fits.
    """
    few, many = (evenly(distal(femur.points_mm), count) for count in POINTS)
    reference = reference_femur()
    fits = {}
    for candidate, turn in ((Side.RIGHT, np.eye(4)), (Side.LEFT, _MIRROR)):
        first, rest = _apply(turn, few), _apply(turn, many)
        guess, _ = _icp(first, reference, _centred(first, reference), NEAR_MM)
        fits[candidate] = _icp(rest, reference, guess, NEAR_MM)
    side = min(fits, key=lambda candidate: fits[candidate][1])
    turned = many if side is Side.RIGHT else _apply(_MIRROR, many)
    matrix, residual = _icp(turned, reference, fits[side][0], SETTLED_MM)
    if residual > PLAUSIBLE_MM:
        raise ImplausibleAnatomy(
            f"The femur lies {residual:.1f} mm from the reference femur on average; "
            f"expected less than {PLAUSIBLE_MM} mm.",
            hint="Is this a knee, and does the header give the patient's orientation right?",
        )
    return Alignment(
        matrix=matrix if side is Side.RIGHT else matrix @ _MIRROR,
        side=side,
        residual_mm=residual,
        residual_other_mm=fits[side.other][1],
    )

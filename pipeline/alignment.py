"""Where a knee lies in the frame of the reference knee, and with it: left or right, medial or lateral.

The reference femur is laid on the patient's and, mirrored, once more: the better fit names the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pipeline.anatomy import Side, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.grid import FloatArray, Grid
from pipeline.image_io import read_label_map
from pipeline.surface import bone_surface
from pipeline.types import Alignment, Segmentation, Surface

REFERENCE_PATH: Final = Path(__file__).parent.parent / "models" / "reference_knee" / "labels.nrrd"

POINTS: Final = (400, 3000)
"""About as many points of the reference take part: first few, to come near, then all, to settle."""

NEAR_MM: Final = 0.05
SETTLED_MM: Final = 5e-5
"""No point moves further than this in the last iteration: to tell the sides apart, and to end in the same place
whatever the pose in the scanner."""

MOST_ITERATIONS: Final = (60, 40)

KEEP: Final = 0.85
"""Share of the closest pairs kept in the first stage: osteophytes and cut shafts must not pull."""

CUTOFF_MM: Final = 5.0
"""Pairs further apart than this do not count in the second stage; nearer ones fade towards it (Tukey's biweight)."""

LEAST_WEIGHT: Final = 0.2
SCALES: Final = (0.6, 1.6)
"""Where the pairs' mean weight or the size leaves these bounds there is no femur to settle on."""

FACING: Final = 0.5
"""Cosine between the normals of a pair, at least: the cap of a cut shaft faces up, the shaft beside it does not."""

SHAFT_MM: Final = 62.0
"""Length of femur, from its distal end, that takes part: fields of view end anywhere along the shaft."""


PLAUSIBLE_MM: Final = 2.3
"""A femur whose mean distance to the reference is larger than this is none: balls and eggs stay above 2.7, femora of
expert maps below 1.2."""

UP: Final = 2
"""Column of superior in LPS, and in the reference frame."""

_MIRROR: Final = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The reference femur as two sets of points (n, 3), few and many, with the outward normals of the second."""

    few: FloatArray
    many: FloatArray
    normals: FloatArray

    def mirrored(self) -> Reference:
        """The reference of the other side."""
        flip = np.array([-1.0, 1.0, 1.0])
        return Reference(few=self.few * flip, many=self.many * flip, normals=self.normals * flip)


@lru_cache(maxsize=1)
def reference_femur() -> Reference:
    """The built-in reference, read once a process (right knee: +x medial, +y posterior, +z superior, mm)."""
    labels, grid = read_label_map(REFERENCE_PATH)
    # every second voxel is enough for points two millimetres apart
    femur = (labels[::2, ::2, ::2] == Structure.FEMUR).astype(np.uint8)
    coarse = Grid(
        shape=(femur.shape[0], femur.shape[1], femur.shape[2]),
        spacing_mm=(2 * grid.spacing_mm[0], 2 * grid.spacing_mm[1], 2 * grid.spacing_mm[2]),
        origin_mm=grid.origin_mm,
        direction=grid.direction,
    )
    surface = bone_surface(Segmentation(labels=femur, grid=coarse, model_id="reference_knee"), Structure.FEMUR)
    part = distal(surface.points_mm)
    points = surface.points_mm[part]
    few, many = (cKDTree(points).query(evenly(points, count))[1] for count in POINTS)
    return Reference(few=points[few], many=points[many], normals=surface.normals[part][many])


def distal(points_mm: FloatArray) -> NDArray[np.bool_]:
    """(n,): which points lie within SHAFT_MM of the distal end."""
    height = points_mm[:, UP]
    part: NDArray[np.bool_] = height < height.min() + SHAFT_MM
    return part


def evenly(points_mm: FloatArray, count: int) -> FloatArray:
    """About `count` points, one a cubic cell: the mean of the points in it, whatever their order."""
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


def _scale(matrix: FloatArray) -> float:
    """Size of the patient over that of the reference."""
    return float(np.cbrt(abs(np.linalg.det(matrix[:3, :3]))))


def _come_near(reference: FloatArray, surface: FloatArray, tree: cKDTree) -> FloatArray:
    """First stage, (4, 4) reference -> patient: closest points with scale and trimming, distal end on distal end."""
    here = surface[distal(surface)]
    matrix = np.eye(4)
    matrix[:3, 3] = (here.max(axis=0) + here.min(axis=0) - reference.max(axis=0) - reference.min(axis=0)) / 2
    matrix[UP, 3] = here[:, UP].min() - reference[:, UP].min()
    for _ in range(MOST_ITERATIONS[0]):
        moved = _apply(matrix, reference)
        distance, nearest = tree.query(moved)
        keep = distance <= np.quantile(distance, KEEP)
        matrix = _similarity(reference[keep], surface[nearest[keep]])
        if np.abs(_apply(matrix, reference) - moved).max() < NEAR_MM:
            break
    return matrix


def _settle(
    reference: Reference, femur: Surface, tree: cKDTree, matrix: FloatArray, settled_mm: float
) -> tuple[FloatArray, float]:
    """Second stage: Gauss-Newton on the distances to the tangent planes of the closest points, robustly weighted.

    The points are the reference's and the planes the surface's, so neither the order of the patient's vertices nor
    the pose in the scanner decides where it ends. Returns (4, 4) and the mean distance to the surface in mm, each
    distance counted up to CUTOFF_MM.
    """
    for _ in range(MOST_ITERATIONS[1]):
        moved = _apply(matrix, reference.many)
        distance, nearest = tree.query(moved)
        weight = _weights(reference, femur, matrix, distance, nearest)
        if weight.mean() < LEAST_WEIGHT or not SCALES[0] < _scale(matrix) < SCALES[1]:
            return matrix, CUTOFF_MM
        normals = femur.normals[nearest]
        off = np.einsum("ij,ij->i", moved - femur.points_mm[nearest], normals)
        middle = np.average(moved, axis=0, weights=weight)
        arm = moved - middle
        jacobian = np.concatenate(
            [np.cross(arm, normals), normals, np.einsum("ij,ij->i", arm, normals)[:, None]], axis=1
        )
        weighted = jacobian * weight[:, None]
        step = -np.linalg.solve(weighted.T @ jacobian, weighted.T @ off)
        update = np.eye(4)
        update[:3, :3] = np.exp(step[6]) * Rotation.from_rotvec(step[:3]).as_matrix()
        update[:3, 3] = middle + step[3:6] - update[:3, :3] @ middle
        matrix = update @ matrix
        if np.abs(_apply(matrix, reference.many) - moved).max() < settled_mm:
            break
    distance, _ = tree.query(_apply(matrix, reference.many), distance_upper_bound=CUTOFF_MM)
    return matrix, float(np.minimum(distance, CUTOFF_MM).mean())


def _weights(
    reference: Reference, femur: Surface, matrix: FloatArray, distance: FloatArray, nearest: NDArray[np.int64]
) -> FloatArray:
    """(n,) Tukey's biweight of each pair's distance; 0 where the normals do not face the same way."""
    facing = np.einsum("ij,ij->i", reference.normals @ matrix[:3, :3].T, femur.normals[nearest])
    facing /= _scale(matrix)
    weights: FloatArray = np.square(1 - np.minimum(distance / CUTOFF_MM, 1.0) ** 2) * (facing > FACING)
    return weights


def align_knee(femur: Surface) -> Alignment:
    """Lay the reference femur on a femur, as it is and mirrored; the lower residual names the side.

    Raises ImplausibleAnatomy where neither fits.
    """
    tree = cKDTree(femur.points_mm, balanced_tree=False, compact_nodes=False)
    fits = {}
    for side, reference in ((Side.RIGHT, reference_femur()), (Side.LEFT, reference_femur().mirrored())):
        guess = _come_near(reference.few, femur.points_mm, tree)
        fits[side] = _settle(reference, femur, tree, guess, NEAR_MM)
    side = min(fits, key=lambda candidate: fits[candidate][1])
    reference = reference_femur() if side is Side.RIGHT else reference_femur().mirrored()
    matrix, residual = _settle(reference, femur, tree, fits[side][0], SETTLED_MM)
    if residual > PLAUSIBLE_MM:
        raise ImplausibleAnatomy(
            f"The femur lies {residual:.1f} mm from the reference femur on average; "
            f"expected less than {PLAUSIBLE_MM} mm.",
            hint="Is this a knee, and does the header give the patient's orientation right?",
        )
    back = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    return Alignment(
        matrix=back if side is Side.RIGHT else _MIRROR @ back,
        side=side,
        residual_mm=residual,
        residual_other_mm=fits[side.other][1],
    )

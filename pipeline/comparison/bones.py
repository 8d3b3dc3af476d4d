"""Registration of one bone of the second knee to the same bone of the first.

The transform is rigid: bones of one person do not change their size. The initial transform comes from the alignment of
both knees to the reference, so that it is independent of the pose in the scanner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NotComparable
from pipeline.grid import FloatArray
from pipeline.registration import (
    FACING,
    Patch,
    Target,
    apply,
    chosen_rows,
    coarse_fit,
    fine_fit,
)
from pipeline.types import Alignment, ThicknessMap

NEAR_JOINT_MM: Final = 60.0
"""Maximum distance of the used bone from the centre of its cartilage plate: fields of view end anywhere along the
shaft.
"""

POINTS: Final = (400, 3000)
"""Approximate numbers of points in the coarse and in the first fine stage; the last stage uses all vertices."""

KEEP: Final = 0.85
COARSE_MM: Final = 0.05
CUTOFFS_MM: Final = (5.0, 2.0)
"""Pairs further apart are ignored in the first and the last fine stage, to exclude osteophytes and cut shafts."""

FINE_MM: Final = (0.02, 1e-3)
MOST_ITERATIONS: Final = (60, 40, 10)

IMPLAUSIBLE_MM: Final = 3.0
"""Maximum distance (rms) between surfaces of the same bone. Expert maps: 0.25 to 0.7 mm for one knee eight years
later, 1.0 to 2.2 mm for two persons."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Residual:
    """Distances of the first bone's vertices to the tangent planes of the second, registered bone, mm.

    mean, rms, p95   over the common part of the bone within NEAR_JOINT_MM
    plate_rms        rms under the cartilage plate only, where thickness is compared
    overlap          fraction of the first bone's vertices near the joint in the common part, 0 to 1
    """

    mean: float
    rms: float
    p95: float
    plate_rms: float
    overlap: float


def register_bone(
    first: ThicknessMap, second: ThicknessMap, alignments: tuple[Alignment, Alignment]
) -> tuple[FloatArray, Residual]:
    """(4, 4) rigid motion second -> first (LPS mm), and its residual. Both knees must have the same side.

    Raises NotComparable if the registration fails.
    """
    target = Target(surface=first.surface)
    near = _near_joint(second)
    points, normals = second.surface.points_mm[near], second.surface.normals[near]
    matrix = _start(first, second, alignments)
    few, many = (chosen_rows(points, count) for count in POINTS)
    matrix = coarse_fit(
        points[few], target, matrix, scaled=False, keep=KEEP, tolerance_mm=COARSE_MM, most_iterations=MOST_ITERATIONS[0]
    )
    for stage, rows in enumerate((many, np.arange(len(points)))):
        fitted = fine_fit(
            Patch(points=points[rows], normals=normals[rows]),
            target,
            matrix,
            scaled=False,
            cutoff_mm=CUTOFFS_MM[stage],
            tolerance_mm=FINE_MM[stage],
            most_iterations=MOST_ITERATIONS[stage + 1],
        )
        if fitted is None:
            raise _apart(first, "cannot be registered to each other")
        matrix = fitted
    residual = _residual(first, second, matrix)
    if residual.rms > IMPLAUSIBLE_MM:
        raise _apart(first, f"are {residual.rms:.1f} mm apart (expected less than {IMPLAUSIBLE_MM})")
    return matrix, residual


def moved(item: ThicknessMap, matrix: FloatArray) -> ThicknessMap:
    """A thickness map and its bone after a rigid transform."""
    surface = replace(
        item.surface, points_mm=apply(matrix, item.surface.points_mm), normals=item.surface.normals @ matrix[:3, :3].T
    )
    return replace(item, surface=surface)


def _apart(item: ThicknessMap, how: str) -> NotComparable:
    return NotComparable(
        f"{item.surface.structure.title}: the two bones {how}.", hint="Check that the scans are of the same person."
    )


def _middle(item: ThicknessMap) -> FloatArray:
    """(3,) centre of the cartilage plate, or of the bone if it has none."""
    plate = item.region > 0
    points = item.surface.points_mm[plate] if plate.any() else item.surface.points_mm
    middle: FloatArray = (points.max(axis=0) + points.min(axis=0)) / 2
    return middle


def _near_joint(item: ThicknessMap) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.linalg.norm(item.surface.points_mm - _middle(item), axis=1) < NEAR_JOINT_MM
    return near


def _start(first: ThicknessMap, second: ThicknessMap, alignments: tuple[Alignment, Alignment]) -> FloatArray:
    """(4, 4) rigid: rotation from the alignment of the two femora, translation from the plate centres."""
    linear = np.linalg.inv(alignments[0].matrix[:3, :3]) @ alignments[1].matrix[:3, :3]
    u, _, vt = np.linalg.svd(linear)
    matrix = np.eye(4)
    matrix[:3, :3] = u @ vt
    matrix[:3, 3] = _middle(first) - matrix[:3, :3] @ _middle(second)
    return matrix


def _residual(first: ThicknessMap, second: ThicknessMap, matrix: FloatArray) -> Residual:
    there = Target(surface=moved(second, matrix).surface)
    near = _near_joint(first)
    points, normals = first.surface.points_mm[near], first.surface.normals[near]
    distance, nearest = there.tree.query(points, distance_upper_bound=CUTOFFS_MM[0])
    met = np.isfinite(distance)
    nearest = np.where(met, nearest, 0)
    planes = there.surface.normals[nearest]
    shared = met & (np.einsum("ij,ij->i", normals, planes) > FACING)
    off = np.abs(np.einsum("ij,ij->i", points - there.surface.points_mm[nearest], planes))
    weights = first.surface.vertex_areas_mm2[near]
    if not weights[shared].sum() > 0:
        raise _apart(first, "have no common part")
    under = shared & (first.region[near] > 0)
    rms = _rms(off[shared], weights[shared])
    return Residual(
        mean=float(np.average(off[shared], weights=weights[shared])),
        rms=rms,
        p95=_quantile(off[shared], weights[shared], 0.95),
        plate_rms=_rms(off[under], weights[under]) if weights[under].sum() > 0 else rms,
        overlap=float(weights[shared].sum() / weights.sum()),
    )


def _rms(values: FloatArray, weights: FloatArray) -> float:
    return float(np.sqrt(np.average(values**2, weights=weights)))


def _quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(cumulated, share * cumulated[-1]))]])

"""Whether a bone has the size and proportions of a knee: a wrong voxel size stretches it along an axis of the image."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.alignment import reference_bone
from pipeline.flags import FlagCode, QualityFlag
from pipeline.grid import FloatArray
from pipeline.types import Alignment, Segmentation

COARSE_MM: Final = 2.0
"""Maximum distance of the voxels that are compared, where the image's own voxels are smaller."""

KEEP: Final = 0.85
"""Fraction of the closest pairs used."""

LEAST_POINTS: Final = 100
"""A bone with fewer boundary voxels has no measurable size."""

STEADY_MM: Final = 0.05
MOST_ITERATIONS: Final = 60
"""The fit has converged if no point moves further than STEADY_MM."""

MOST_STRETCH: Final = 1.15
"""Of one axis against the other two: up to 1.08 in expert maps."""

SIZES: Final = (0.87, 1.15)
"""Size of a bone, as a fraction of the reference: 0.92 to 1.07 in expert maps."""

_DIRECTIONS: Final = ("between left and right", "between front and back", "along the leg")


def size_flags(segmentation: Segmentation, alignment: Alignment) -> list[QualityFlag]:
    """At most one flag: the aligned bone is stretched along an axis, or much larger or smaller than the reference."""
    lengths = axis_lengths(segmentation, alignment)
    if lengths is None:
        return []
    size = float(np.cbrt(np.prod(lengths)))
    stretch = [length / float(np.sqrt(size**3 / length)) for length in lengths]
    axis = int(np.argmax(np.abs(np.log(stretch))))
    bone = alignment.structure.key
    if abs(np.log(stretch[axis])) > np.log(MOST_STRETCH):
        way = _DIRECTIONS[int(np.argmax(np.abs(segmentation.grid.affine[:3, axis])))]
        return [
            QualityFlag(
                code=FlagCode.WRONG_VOXEL_SIZE,
                reason=f"the {bone} is stretched, the voxel size {way} seems wrong",
                message=f"Voxels are {segmentation.grid.spacing_mm[axis]:.3g} mm {way}. There, the {bone} is "
                f"{stretch[axis]:.2f} times as long as its other dimensions suggest; expected {1 / MOST_STRETCH:.2f} "
                f"to {MOST_STRETCH:.2f}.",
            )
        ]
    if not SIZES[0] <= size <= SIZES[1]:
        return [
            QualityFlag(
                code=FlagCode.UNUSUAL_SIZE,
                reason=f"the {bone} has an unusual size, the voxel size may be wrong",
                message=f"The {bone} is {size:.2f} times as large as that of the reference knee; expected "
                f"{SIZES[0]:.2f} to {SIZES[1]:.2f}.",
            )
        ]
    return []


def axis_lengths(segmentation: Segmentation, alignment: Alignment) -> FloatArray | None:
    """(3,): length of the aligned bone along each axis of the array (z, y, x), as a fraction of the reference.

    None if the bone is too small. From an affine fit of closest points, which starts at the alignment.
    """
    rows = reference_bone(alignment.structure).few
    points = _rim_mm(segmentation, alignment)
    if len(points) < LEAST_POINTS:
        return None
    tree = cKDTree(points)
    source = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    matrix = np.asarray(np.linalg.inv(alignment.matrix)[:3].T, dtype=np.float64)
    for _ in range(MOST_ITERATIONS):
        moved = source @ matrix
        distance, nearest = tree.query(moved)
        chosen = distance <= np.quantile(distance, KEEP)
        solved = np.linalg.lstsq(source[chosen], points[nearest[chosen]], rcond=None)[0]
        matrix = np.asarray(solved, dtype=np.float64)
        if np.abs(source @ matrix - moved).max() < STEADY_MM:
            break
    left, sizes, _ = np.linalg.svd(matrix[:3].T)
    axes = segmentation.grid.affine[:3, :3] / np.linalg.norm(segmentation.grid.affine[:3, :3], axis=0)
    along: FloatArray = np.einsum("ik,ij,jk->k", axes, (left * sizes) @ left.T, axes)
    return along


def _rim_mm(segmentation: Segmentation, alignment: Alignment) -> FloatArray:
    """(n, 3): boundary voxels of the aligned bone, in LPS mm."""
    box = segmentation.boxes[alignment.structure]
    steps = [max(1, int(COARSE_MM / spacing)) for spacing in segmentation.grid.spacing_mm]
    part = tuple(slice(own.start, own.stop, step) for own, step in zip(box, steps, strict=True))
    bone: NDArray[np.bool_] = segmentation.labels[part] == alignment.structure
    rim = np.argwhere(bone & ~ndimage.binary_erosion(bone))
    return segmentation.grid.to_mm(rim * steps + [own.start for own in box])

"""What is missing deep inside a bone: the interior of the reference bone, fitted to the patient's, without its label.

A hole, a bite out of the outline and a break of the shaft are all found in this way, also where they are open to the
outside. The intercondylar notch is outside the reference bone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.alignment import align_knee, near_joint, reference_labels
from pipeline.anatomy import BONES, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.grid import FloatArray
from pipeline.surface import bone_surface
from pipeline.types import Alignment, LabelArray, Segmentation

DEPTH_MM: Final = 6.0
"""Depth in the reference bone from which a point must be inside the patient's: bones of the expert maps differ from the
reference by 1.2 mm on average, and by more at osteophytes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Interior:
    """Points of a reference bone deeper than DEPTH_MM.

    index (n, 3) on a lattice of `shape`; points_mm (n, 3) in the reference frame; volume_mm3 of each point
    """

    index: NDArray[np.intp]
    points_mm: FloatArray
    shape: tuple[int, ...]
    volume_mm3: float


@dataclass(frozen=True, kw_only=True)
class Missing:
    """The largest connected part of a bone's interior without its label. place: voxel (z, y, x) at its middle."""

    bone: Structure
    volume_mm3: float
    place: tuple[int, int, int]


@lru_cache(maxsize=len(BONES))
def reference_interior(bone: Structure) -> Interior:
    """Of the part of the bone by which a knee is aligned."""
    labels, grid = reference_labels(bone)
    depth = ndimage.distance_transform_edt(labels == bone, grid.spacing_mm)
    index = np.argwhere(labels == bone)
    points = grid.to_mm(index)
    inside = near_joint(bone, points) & (depth[tuple(index.T)] > DEPTH_MM)
    return Interior(
        index=index[inside], points_mm=points[inside], shape=labels.shape, volume_mm3=float(np.prod(grid.spacing_mm))
    )


def missing_inside(segmentation: Segmentation, knee: Alignment, bone: Structure) -> Missing | None:
    """None: nothing is missing, the bone is not in the segmentation, or it does not fit the reference.

    knee: the alignment of the whole knee, used for its bone; another bone is aligned by itself, because it moves
    """
    alignment = knee if bone is knee.structure else _aligned(segmentation, bone)
    if alignment is None:
        return None
    interior = reference_interior(bone)
    to_patient = np.linalg.inv(alignment.matrix)
    points = interior.points_mm @ to_patient[:3, :3].T + to_patient[:3, 3]
    voxels = np.rint(segmentation.grid.to_index(points)).astype(np.intp)
    imaged = np.all((voxels >= 0) & (voxels < segmentation.labels.shape), axis=1)
    return _largest(segmentation.labels, bone, interior, voxels, imaged, abs(float(np.linalg.det(to_patient[:3, :3]))))


def _largest(
    labels: LabelArray,
    bone: Structure,
    interior: Interior,
    voxels: NDArray[np.intp],
    imaged: NDArray[np.bool_],
    scale: float,
) -> Missing | None:
    absent = imaged.copy()
    absent[imaged] = labels[tuple(voxels[imaged].T)] != bone
    lattice = np.zeros(interior.shape, dtype=bool)
    lattice[tuple(interior.index[absent].T)] = True
    parts, count = ndimage.label(lattice)
    if not count:
        return None
    numbers = parts[tuple(interior.index.T)]
    sizes = np.bincount(numbers, minlength=count + 1)
    sizes[0] = 0
    part = voxels[numbers == np.argmax(sizes)]
    z, y, x = part[np.argmin(((part - part.mean(axis=0)) ** 2).sum(axis=1))]
    return Missing(
        bone=bone, volume_mm3=float(sizes.max() * interior.volume_mm3 * scale), place=(int(z), int(y), int(x))
    )


def _aligned(segmentation: Segmentation, bone: Structure) -> Alignment | None:
    if bone not in segmentation.boxes:
        return None
    try:
        return align_knee(bone_surface(segmentation, bone))
    except ImplausibleAnatomy:
        return None

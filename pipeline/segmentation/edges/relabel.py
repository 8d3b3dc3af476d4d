"""From edges along rays to labels on the scan's grid.

The distance to an edge varies slowly, so that it is interpolated on the first pass's voxels and still places the edge
between voxels of the scan.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.grid import Box
from pipeline.segmentation.edges.profiles import DEPTHS_MM
from pipeline.segmentation.edges.rays import Rays
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.sampling import FloatVolume, interpolated, linear_matrix
from pipeline.types import LabelArray

NEIGHBOURS: Final = 4
SOFT_MM: Final = 0.1
"""Added to the distance to a ray's start before rays are weighed by its inverse square."""
REACH_MM: Final = 1.4
"""Voxels further than this from every ray are not changed."""
ENDS_MM: Final = 0.3
"""Voxels this close to the ends of rays are not changed either."""
FAR_MM: Final = 9.0
FREE: Final = -9.0
"""Depth inside a structure of a voxel that no surface has claimed yet."""


def relabel(labels: LabelArray, frame: Frame, answers: list[tuple[Rays, FloatVolume, FloatVolume]]) -> None:
    """Overwrite labels (the scan's voxels, frame's axes) around the rays.

    answers: rays, inner and outer edge (n,) mm. A voxel claimed by two surfaces is assigned to the one in which it is
    deeper.
    """
    depth = np.full(labels.shape, FREE, np.float32)
    before = labels.copy()
    for rays, inner, outer in answers:
        found = _fields(rays, inner, outer, frame)
        if found is None:
            continue
        box, beyond_bone, beyond_cartilage, known = found
        here, deepest, was = labels[box], depth[box], before[box]
        bone = known & (beyond_bone < 0)
        cartilage = known & (beyond_bone >= 0) & (beyond_cartilage < 0)
        inside = np.where(bone, -beyond_bone, np.minimum(beyond_bone, -beyond_cartilage))
        won = (bone | cartilage) & (inside > deepest)
        here[won] = np.where(bone, rays.bone, rays.cartilage)[won]
        deepest[won] = inside[won]
        mine = (was == rays.bone) | (was == rays.cartilage)
        here[known & ~bone & ~cartilage & mine & (deepest == FREE)] = 0


def _fields(
    rays: Rays, inner: FloatVolume, outer: FloatVolume, frame: Frame
) -> tuple[Box, FloatVolume, FloatVolume, NDArray[np.bool_]] | None:
    """A box of the scan; distances of its voxels beyond both edges, mm; and a mask of known distances."""
    mm = frame.resolution_mm
    counts = np.array(frame.isotropic)
    ends = np.clip(np.rint(rays.at(DEPTHS_MM[::2]).reshape(-1, 3) / mm - 0.5).astype(np.intp), 0, counts - 1)
    low = np.maximum(ends.min(axis=0) - 1, 0)
    high = np.minimum(ends.max(axis=0) + 2, counts)
    passed = np.zeros(high - low, bool)
    passed[tuple((ends - low).T)] = True
    passed = ndimage.binary_dilation(passed, np.ones((3, 3, 3), bool))
    places = ((np.argwhere(passed) + low + 0.5) * mm).astype(np.float32)
    far, near = cKDTree(rays.starts_mm).query(places, NEIGHBOURS, workers=2)
    weight = (1.0 / (far + SOFT_MM) ** 2).astype(np.float32)
    weight /= weight.sum(axis=1, keepdims=True)
    apart = places[:, None] - rays.starts_mm[near]
    along = np.einsum("nki,nki->nk", apart, rays.normals[near])
    aside = np.sqrt(np.maximum((apart**2).sum(axis=2) - along**2, 0.0)).min(axis=1)
    depth = (weight * along).sum(axis=1)
    known = (aside < REACH_MM) & (depth > DEPTHS_MM[0] + ENDS_MM) & (depth < DEPTHS_MM[-1] - ENDS_MM)
    fields = []
    for values, elsewhere in (
        ((weight * (along - inner[near])).sum(axis=1), FAR_MM),
        ((weight * (along - outer[near])).sum(axis=1), FAR_MM),
        (known.astype(np.float32), 0.0),
    ):
        field = np.full(passed.shape, elsewhere, np.float32)
        field[passed] = values
        fields.append(field)
    where = frame.places
    chosen = [np.flatnonzero((at >= a) & (at <= b - 1)) for at, a, b in zip(where, low, high, strict=True)]
    if any(not len(voxels) for voxels in chosen):
        return None
    a, b, c = (slice(int(voxels[0]), int(voxels[-1]) + 1) for voxels in chosen)
    matrices = [
        linear_matrix(at[voxels] - start, count)
        for at, voxels, start, count in zip(where, chosen, low, passed.shape, strict=True)
    ]
    bone, cartilage, share = (interpolated(field, *matrices) for field in fields)
    return (a, b, c), bone, cartilage, share > 0.99

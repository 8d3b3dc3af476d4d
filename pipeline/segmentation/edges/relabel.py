"""From edges along rays to labels on the scan's grid.

The distance to an edge varies slowly, so that it is interpolated on the first pass's voxels and still places the edge
between voxels of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """The voxels around the rays of one bone: a box of the scan, and on it the distances beyond the edges of bone and
    cartilage, mm (negative inside), and where they are known.
    """

    bone: int
    cartilage: int
    box: Box
    beyond_bone: FloatVolume
    beyond_cartilage: FloatVolume
    known: NDArray[np.bool_]


def relabel(labels: LabelArray, claims: list[Claim]) -> None:
    """Overwrite labels (the scan's voxels, frame's axes) around the rays.

    A voxel claimed by two surfaces is assigned to the one in which it is deeper.
    """
    depth = np.full(labels.shape, FREE, np.float32)
    before = labels.copy()
    for claim in claims:
        here, deepest, was = labels[claim.box], depth[claim.box], before[claim.box]
        bone = claim.known & (claim.beyond_bone < 0)
        cartilage = claim.known & (claim.beyond_bone >= 0) & (claim.beyond_cartilage < 0)
        inside = np.where(bone, -claim.beyond_bone, np.minimum(claim.beyond_bone, -claim.beyond_cartilage))
        won = (bone | cartilage) & (inside > deepest)
        here[won] = np.where(bone, claim.bone, claim.cartilage)[won]
        deepest[won] = inside[won]
        mine = (was == claim.bone) | (was == claim.cartilage)
        here[claim.known & ~bone & ~cartilage & mine & (deepest == FREE)] = 0


def claim_of(rays: Rays, inner: FloatVolume, outer: FloatVolume, frame: Frame) -> Claim | None:
    """The voxels around rays with inner and outer edge (n,) mm; None if no voxel of the scan is near."""
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
    return Claim(
        bone=rays.bone,
        cartilage=rays.cartilage,
        box=(a, b, c),
        beyond_bone=bone,
        beyond_cartilage=cartilage,
        known=share > 0.99,
    )

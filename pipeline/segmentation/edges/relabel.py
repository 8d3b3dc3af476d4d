"""From edges along rays to labels on the scan's grid.

The distance to an edge varies slowly, so that it is interpolated on the first pass's voxels and still places the edge
between voxels of the scan.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

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
ALL_KNOWN: Final = 0.99
"""Voxels are claimed where the interpolated share of known neighbours is above this."""
FAR_MM: Final = 9.0
FREE: Final = -9.0
"""Depth inside a structure of a voxel that no surface has claimed yet."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """The voxels around the rays of one bone.

    voxels (k,): their index in the flattened scan
    beyond_bone, beyond_cartilage (k,): distances beyond the edges of bone and cartilage, mm (negative inside)
    """

    bone: int
    cartilage: int
    voxels: NDArray[np.intp]
    beyond_bone: FloatVolume
    beyond_cartilage: FloatVolume


def relabel(labels: LabelArray, claims: list[Claim]) -> None:
    """Overwrite labels (the scan's voxels, frame's axes; contiguous) around the rays.

    A voxel claimed by two surfaces is assigned to the one in which it is deeper.
    """
    flat, depth = labels.reshape(-1), np.full(labels.size, FREE, np.float32)
    before = [flat[claim.voxels] for claim in claims]
    for claim, was in zip(claims, before, strict=True):
        bone = claim.beyond_bone < 0
        cartilage = ~bone & (claim.beyond_cartilage < 0)
        inside = np.where(bone, -claim.beyond_bone, np.minimum(claim.beyond_bone, -claim.beyond_cartilage))
        won = (bone | cartilage) & (inside > depth[claim.voxels])
        flat[claim.voxels[won]] = np.where(bone, claim.bone, claim.cartilage)[won]
        depth[claim.voxels[won]] = inside[won]
        mine = (was == claim.bone) | (was == claim.cartilage)
        outside = mine & ~bone & ~cartilage
        flat[claim.voxels[outside & (depth[claim.voxels] == FREE)]] = 0


def claim_of(rays: Rays, inner: FloatVolume, outer: FloatVolume, frame: Frame, threads: int = 1) -> Claim | None:
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
    far, near = cKDTree(rays.starts_mm).query(places, NEIGHBOURS, workers=threads)
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
    matrices = [
        linear_matrix(at[voxels] - start, count)
        for at, voxels, start, count in zip(where, chosen, low, passed.shape, strict=True)
    ]
    with ThreadPoolExecutor(min(threads, len(fields))) as side_by_side:
        bone, cartilage, share = side_by_side.map(lambda field: interpolated(field, *matrices), fields)
    inside = np.nonzero(share > ALL_KNOWN)
    return Claim(
        bone=rays.bone,
        cartilage=rays.cartilage,
        voxels=np.ravel_multi_index([at[k] for at, k in zip(chosen, inside, strict=True)], frame.shape),
        beyond_bone=bone[inside],
        beyond_cartilage=cartilage[inside],
    )

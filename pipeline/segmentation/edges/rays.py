"""Rays across the cartilage: from the bone surfaces of the first pass, along their normals.

Places are mm along the network's axes, 0 at the lower edge of the field of view, which is common to all grids.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.grid import Grid
from pipeline.segmentation.first_pass import PROBABILITY_LEVELS
from pipeline.segmentation.sampling import FloatVolume
from pipeline.surface import LEVEL, Field, contour

SMOOTH_MM: Final = 0.7
"""SD of the Gaussian on the bone's probability: a smooth surface, so that neighbouring rays are nearly parallel."""
MARGIN: Final = 4
"""Margin in voxels around the bounding box of a bone, so that its surface is closed and smooth."""
APART_MM: Final = 0.7
"""One ray per cube of this side."""
NEAR_MM: Final = 4.0
"""Rays start no further than this from possible cartilage."""
POSSIBLE: Final = 0.1
REGION_RAYS: Final = 64
LEAST_RAYS: Final = 60
"""With fewer, a surface is left as the first pass has it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rays:
    """starts_mm (n, 3) on the surface of a bone, normals (n, 3) of length 1 out of it; bone, cartilage: classes."""

    bone: int
    cartilage: int
    starts_mm: FloatVolume
    normals: FloatVolume

    def __len__(self) -> int:
        return len(self.starts_mm)

    @cached_property
    def neighbours(self) -> NDArray[np.intp]:
        """(n, REGION_RAYS or n): every ray and those that start nearest to it, the nearest first."""
        return np.asarray(cKDTree(self.starts_mm).query(self.starts_mm, min(REGION_RAYS, len(self)))[1])

    def only(self, chosen: NDArray[np.intp]) -> Rays:
        """Some of them, by their numbers."""
        return replace(self, starts_mm=self.starts_mm[chosen], normals=self.normals[chosen])

    def at(self, depths_mm: FloatVolume) -> FloatVolume:
        """(n, len(depths_mm), 3) mm: places along every ray."""
        return np.asarray(self.starts_mm[:, None] + depths_mm[:, None] * self.normals[:, None])


def cast(kept: NDArray[np.uint8], resolution_mm: float, bone: int, cartilage: int) -> Rays | None:
    """Rays of one bone; None without bone, or with too little cartilage on it.

    kept  (classes - 1, a, b, c): first-pass probabilities in PROBABILITY_LEVELS, on isotropic voxels
    """
    share = _largest_piece(kept[bone - 1])
    possible = np.argwhere(kept[cartilage - 1] > POSSIBLE * PROBABILITY_LEVELS)
    if share is None or not len(possible):
        return None
    values, lower = share
    values = ndimage.gaussian_filter(values, SMOOTH_MM / resolution_mm, truncate=3.0)
    a, b, c = values.shape
    grid = Grid(shape=(a, b, c), spacing_mm=(resolution_mm,) * 3, origin_mm=np.zeros(3), direction=np.eye(3))
    points, _ = contour(Field(values=values, grid=grid))
    if not len(points):
        return None
    index = _one_per_cube(points[:, ::-1] / resolution_mm, APART_MM / resolution_mm)
    slope = np.stack(
        [ndimage.map_coordinates(ndimage.sobel(values, axis), index.T, order=1, prefilter=False) for axis in range(3)],
        axis=1,
    )
    normals = -slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
    index = index + lower
    reached, _ = cKDTree(possible).query(index, distance_upper_bound=NEAR_MM / resolution_mm)
    # where the field of view cuts the bone there is no surface
    seen = np.all((index > 0) & (index < np.array(kept.shape[1:]) - 1), axis=1) & np.isfinite(reached)
    if np.count_nonzero(seen) < LEAST_RAYS:
        return None
    starts = (index[seen] + 0.5) * resolution_mm
    return Rays(
        bone=bone, cartilage=cartilage, starts_mm=starts.astype(np.float32), normals=normals[seen].astype(np.float32)
    )


def _largest_piece(kept: NDArray[np.uint8]) -> tuple[FloatVolume, NDArray[np.intp]] | None:
    """The bone's probability in a box around its largest component, without others; and the box's lower corner."""
    pieces, count = ndimage.label(kept > LEVEL * PROBABILITY_LEVELS)
    if count == 0:
        return None
    largest = int(np.argmax(np.bincount(pieces.reshape(-1))[1:])) + 1
    box = ndimage.find_objects(pieces, max_label=largest)[largest - 1]
    lower = np.array([side.start for side in box]) - MARGIN
    here = pieces[box]
    values = kept[box].astype(np.float32) / np.float32(PROBABILITY_LEVELS)
    values[(here > 0) & (here != largest)] = 0.0
    return np.pad(values, MARGIN), lower


def _one_per_cube(index: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """The first point of every cube of a lattice."""
    cubes = np.floor(index / side).astype(np.int64)
    cubes -= cubes.min(axis=0)
    sizes = cubes.max(axis=0) + 1
    _, first = np.unique((cubes[:, 0] * sizes[1] + cubes[:, 1]) * sizes[2] + cubes[:, 2], return_index=True)
    return index[np.sort(first)]

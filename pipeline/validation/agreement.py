"""Agreement of two label maps on one grid: overlap, distances between surfaces, volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.grid import FloatArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement for one structure of one knee.

    mean_surface_distance_mm  the average symmetric surface distance (ASSD)
    volume_bias_percent       of the expert's volume
    """

    dice: float
    mean_surface_distance_mm: float
    hausdorff95_mm: float
    volume_bias_percent: float


def agreement(ours: Mask, true: Mask, spacing_mm: tuple[float, float, float]) -> Agreement:
    """Agreement of two masks (z, y, x) on one grid, `true` not empty; distances are infinite if ours is empty."""
    both, ours_count, true_count = (int(np.count_nonzero(m)) for m in (ours & true, ours, true))
    distances = surface_distances(ours, true, spacing_mm) if ours_count else None
    return Agreement(
        dice=2.0 * both / (ours_count + true_count),
        mean_surface_distance_mm=np.inf if distances is None else float(distances.mean()),
        hausdorff95_mm=np.inf if distances is None else float(np.quantile(distances, 0.95)),
        volume_bias_percent=100.0 * (ours_count / true_count - 1.0),
    )


def surface_distances(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> FloatArray:
    """Distances (mm) from the centres of the boundary voxels of each mask to the nearest of the other's, all in one
    array. Where the image cuts a structure is no boundary.
    """
    box = ndimage.find_objects((a | b).view(np.uint8))[0]
    # a voxel around the structure is needed to find its boundary, except at the border of the image
    box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    edges = [mask[box] & ~ndimage.binary_erosion(mask[box], border_value=1) for mask in (a, b)]
    trees = [cKDTree(np.argwhere(edge) * np.asarray(spacing_mm)) for edge in edges]
    there, back = trees[1].query(trees[0].data)[0], trees[0].query(trees[1].data)[0]
    distances: FloatArray = np.concatenate([there, back])
    return distances

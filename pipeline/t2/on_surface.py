"""T2 as a number at each vertex of a bone: the mean through the cartilage that lies on it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import PLATE_ON
from pipeline.grid import FloatArray
from pipeline.t2.layers import usable_voxels
from pipeline.types import LabelArray, Surface, T2Map

STEP_MM: Final = 0.25
"""Distance between samples along a normal: less than a voxel in the plane of any T2 scan."""

FAR_MM: Final = 10.0
"""Samples end here: no cartilage is thicker."""

LEAST_WEIGHT: Final = 0.25
"""Share of the samples' weight that must fall on usable voxels; below it the mean would speak for an edge alone. Not
more: slices are 3 to 4 mm thick, and on a curved plate the next slice's voxels are often bone or fluid."""

_CHUNK: Final = 16384


def t2_on_surface(surface: Surface, thickness_mm: FloatArray, t2: T2Map, subregions: LabelArray) -> FloatArray:
    """(n,) ms: the mean of the T2 map along each vertex's outward normal, from the bone to the cartilage's surface.

    thickness_mm (n,): how far each normal is followed; NaN and 0 give NaN. subregions (z, y, x) on the map's grid: only
    voxels of this bone's own plate count, and of those only what measure_t2 counts. Samples lie STEP_MM apart in the
    middle of their steps and are trilinear over the usable voxels alone (values and weights are interpolated alike).
    """
    usable = usable_voxels(t2) & np.isin(subregions, PLATE_ON[surface.structure].labels)
    values = np.where(usable, t2.t2_ms, 0.0).astype(np.float32)
    weights = usable.astype(np.float32)
    found = np.full(len(thickness_mm), np.nan)
    covered = np.flatnonzero(thickness_mm > 0.0)
    for start in range(0, len(covered), _CHUNK):
        rows = covered[start : start + _CHUNK]
        at = t2.grid.to_index(surface.points_mm[rows])
        step = t2.grid.to_index(surface.points_mm[rows] + surface.normals[rows]) - at
        reach = np.minimum(thickness_mm[rows], FAR_MM)
        count = np.maximum(1, np.ceil(reach / STEP_MM)).astype(np.int64)
        total, weight = np.zeros(len(rows)), np.zeros(len(rows))
        for k in range(int(count.max())):
            here = np.flatnonzero(count > k)
            distance = reach[here] * (k + 0.5) / count[here]
            index = (at[here] + step[here] * distance[:, None]).T
            total[here] += _sampled(values, index)
            weight[here] += _sampled(weights, index)
        enough = weight >= LEAST_WEIGHT * count
        found[rows[enough]] = total[enough] / weight[enough]
    return found


def _sampled(values: NDArray[np.float32], index: FloatArray) -> FloatArray:
    sampled: FloatArray = ndimage.map_coordinates(
        values, index, output=np.float64, order=1, mode="constant", cval=0.0, prefilter=False
    )
    return sampled

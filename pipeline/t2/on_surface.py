"""T2 at each vertex of a bone: the mean through the cartilage above it."""

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
"""Distance between samples along a normal: less than the in-plane voxel size of any T2 scan."""

FAR_MM: Final = 10.0
"""Maximum sampling distance: cartilage is thinner."""

LEAST_WEIGHT: Final = 0.25
"""Minimum fraction of the sample weight on usable voxels; with less, the mean would represent only an edge. It is not
higher because slices are 3 to 4 mm thick, and on a curved plate voxels of the next slice are often bone or fluid."""

_CHUNK: Final = 16384


def t2_on_surface(surface: Surface, thickness_mm: FloatArray, t2: T2Map, subregions: LabelArray) -> FloatArray:
    """(n,) ms: the mean of the T2 map along each vertex's outward normal, from the bone to the surface of the
    cartilage.  thickness_mm (n,): length along each normal; NaN and 0 give NaN. subregions (z, y, x) on the map's grid:
    only voxels of this bone's plate that measure_t2 uses are included. Samples are STEP_MM apart, at the centres of
    their steps, and interpolated trilinearly over usable voxels only (values and weights in the same way).
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

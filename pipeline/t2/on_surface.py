"""T2 at each vertex of a bone: the means through the cartilage above it, and through both layers of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import PLATE_ON
from pipeline.grid import FloatArray
from pipeline.t2.layers import DEEP_BELOW, usable_voxels
from pipeline.types import LabelArray, RelaxationMap, Surface

STEP_MM: Final = 0.25
"""Distance between samples along a normal: less than the in-plane voxel size of any T2 scan."""

FAR_MM: Final = 10.0
"""Maximum sampling distance: cartilage is thinner."""

LEAST_WEIGHT: Final = 0.25
"""Minimum fraction of the sample weight on usable voxels; with less, the mean would represent only an edge. It is not
higher because slices are 3 to 4 mm thick, and on a curved plate voxels of the next slice are often bone or fluid."""

_CHUNK: Final = 16384


@dataclass(frozen=True, kw_only=True, eq=False)
class Depths:
    """(n,) ms each, NaN: none. The boundary of the layers is that of the regions' rows: DEEP_BELOW of the thickness."""

    whole: FloatArray
    deep: FloatArray
    superficial: FloatArray


def t2_on_surface(surface: Surface, thickness_mm: FloatArray, t2: RelaxationMap, subregions: LabelArray) -> Depths:
    """Means of the T2 map along each vertex's outward normal, from the bone to the surface of the cartilage, and of
    both halves of that way.

    thickness_mm (n,): length along each normal; NaN and 0 give NaN. subregions (z, y, x) on the map's grid: only voxels
    of this bone's plate that measure_t2 uses are included. Samples are STEP_MM apart, at the centres of their steps,
    and interpolated trilinearly over usable voxels only (values and weights in the same way).
    """
    usable = usable_voxels(t2) & np.isin(subregions, PLATE_ON[surface.structure].labels)
    values = np.where(usable, t2.time_ms, 0.0).astype(np.float32)
    weights = usable.astype(np.float32)
    # deep, superficial
    total, weight, samples = np.zeros((3, 2, len(thickness_mm)))
    covered = np.flatnonzero(thickness_mm > 0.0)
    for start in range(0, len(covered), _CHUNK):
        rows = covered[start : start + _CHUNK]
        at = t2.grid.to_index(surface.points_mm[rows])
        step = t2.grid.to_index(surface.points_mm[rows] + surface.normals[rows]) - at
        reach = np.minimum(thickness_mm[rows], FAR_MM)
        count = np.maximum(1, np.ceil(reach / STEP_MM)).astype(np.int64)
        for k in range(int(count.max())):
            here = np.flatnonzero(count > k)
            share = (k + 0.5) / count[here]
            index = (at[here] + step[here] * (reach[here] * share)[:, None]).T
            layer = (share >= DEEP_BELOW).astype(np.int64)
            total[layer, rows[here]] += _sampled(values, index)
            weight[layer, rows[here]] += _sampled(weights, index)
            samples[layer, rows[here]] += 1
    return Depths(
        whole=_mean(total.sum(axis=0), weight.sum(axis=0), samples.sum(axis=0)),
        deep=_mean(total[0], weight[0], samples[0]),
        superficial=_mean(total[1], weight[1], samples[1]),
    )


def _mean(total: FloatArray, weight: FloatArray, samples: FloatArray) -> FloatArray:
    mean: FloatArray = np.full(len(total), np.nan)
    np.divide(total, weight, out=mean, where=(samples > 0) & (weight >= LEAST_WEIGHT * samples))
    return mean


def _sampled(values: NDArray[np.float32], index: FloatArray) -> FloatArray:
    sampled: FloatArray = ndimage.map_coordinates(
        values, index, output=np.float64, order=1, mode="constant", cval=0.0, prefilter=False
    )
    return sampled

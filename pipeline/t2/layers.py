"""T2 per region, and per deep and superficial layer."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import CARTILAGE_OF, Plate, Region
from pipeline.grid import FloatArray
from pipeline.quantities import SPREAD, T2, T2_DEEP, T2_EXCLUDED, T2_SUPERFICIAL, Method, Quantity, Statistic
from pipeline.types import LabelArray, Measurement, Segmentation, T2Map

MIN_R2: Final = 0.8
"""Minimum R² of used voxels. Our choice: with 8 echoes of 10 to 80 ms and T2 = 40 ms, 44 % of voxels are below it if S0
is 8 times the noise, 1 % at 15 times, none at 30 times."""

LONGEST_CARTILAGE_MS: Final = 100.0
"""Longer T2 is fluid or marrow inside the outline, and is ignored: DOSMA's upper bound (OpenMSK: 80 ms)."""

DEEP_BELOW: Final = 0.5
"""Relative depth of the boundary between deep and superficial layer."""

_CROP_MM: Final = 6.0


def relative_depth(segmentation: Segmentation) -> FloatArray:
    """(z, y, x): relative depth of each cartilage voxel, from 0 at the bone to 1 at the articular surface. Distance to
    the bone of the plate divided by the sum of the distances to bone and to the nearest voxel that is neither bone nor
    plate (fluid, meniscus, the opposite cartilage). NaN outside cartilage.
    """
    labels, grid = segmentation.labels, segmentation.grid
    depth = np.full(labels.shape, np.nan)
    margin = [int(np.ceil(_CROP_MM / spacing)) for spacing in grid.spacing_mm]
    for bone, plates in CARTILAGE_OF.items():
        whole = segmentation.mask(*plates)
        if not whole.any():
            continue
        box = _box(whole, margin)
        plate = whole[box]
        to_bone = labels[box] != bone
        inside = plate | ~to_bone
        if to_bone.all() or inside.all():
            continue
        near = ndimage.distance_transform_edt(to_bone, sampling=grid.spacing_mm)[plate]
        far = ndimage.distance_transform_edt(inside, sampling=grid.spacing_mm)[plate]
        depth[box][plate] = near / (near + far)
    return depth


def _box(mask: NDArray[np.bool_], margin: list[int]) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(max(0, int(hit[0]) - margin[axis]), int(hit[-1]) + 1 + margin[axis]))
    return tuple(box)


def usable_voxels(t2: T2Map) -> NDArray[np.bool_]:
    """(z, y, x): voxels with a T2 in the range of cartilage and a sufficient fit."""
    return np.asarray((t2.t2_ms <= LONGEST_CARTILAGE_MS) & ~(t2.r2 < MIN_R2))


def measure_t2(t2: T2Map, subregions: LabelArray, depth: FloatArray) -> tuple[Measurement, ...]:
    """Mean, std and median T2 (ms) of every region and plate, and of both layers: T2, T2_deep, T2_superficial; and
    T2_excluded, the percentage of voxels left out, with n the number of all voxels.

    subregions (z, y, x): labels of anatomy.REGIONS; depth: relative_depth's. Voxels without T2, with T2 above
    LONGEST_CARTILAGE_MS, or with R² below MIN_R2 (if the method has R²) are excluded; n is the number of used voxels.
    """
    cartilage = subregions > 0
    usable = usable_voxels(t2) & cartilage
    every = np.bincount(subregions[cartilage], minlength=256)
    values = t2.t2_ms[usable].astype(np.float64)
    label, at = subregions[usable], depth[usable]
    rows: list[Measurement] = []
    for plate in Plate:
        for region, numbers in (*((part, (part.label,)) for part in plate.parts), (plate.whole, plate.labels)):
            here = np.isin(label, numbers)
            for quantity, where in (
                (T2, here),
                (T2_DEEP, here & (at < DEEP_BELOW)),
                (T2_SUPERFICIAL, here & (at >= DEEP_BELOW)),
            ):
                rows += _rows(quantity, t2.method, region, values[where])
            rows.append(_excluded(t2.method, region, int(here.sum()), int(every[list(numbers)].sum())))
    return tuple(rows)


def _excluded(method: Method, region: Region, used: int, every: int) -> Measurement:
    return Measurement.of(
        T2_EXCLUDED,
        method=method,
        structure=region.plate,
        region=region.name,
        statistic=T2_EXCLUDED.main,
        value=100.0 * (every - used) / every if every else float("nan"),
        n=every,
    )


def _rows(quantity: Quantity, method: Method, region: Region, values: FloatArray) -> list[Measurement]:
    """mean, std (of the population) and median; NaN without voxels."""
    found = dict.fromkeys(SPREAD, float("nan"))
    if len(values):
        found = {
            Statistic.MEAN: float(values.mean()),
            Statistic.STD: float(values.std()),
            Statistic.MEDIAN: float(np.median(values)),
        }
    return [
        Measurement.of(
            quantity,
            method=method,
            structure=region.plate,
            region=region.name,
            statistic=statistic,
            value=value,
            n=len(values),
        )
        for statistic, value in found.items()
    ]

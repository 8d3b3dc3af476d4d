"""T2 or T1rho per region, and per deep and superficial layer."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import CARTILAGE_OF, REGION_SCHEME, Plate, Region, Scheme
from pipeline.grid import FloatArray
from pipeline.quantities import SPREAD, Method, Quantity, Statistic
from pipeline.types import LabelArray, Measurement, RelaxationMap, Segmentation

MIN_R2: Final = 0.8
"""Minimum R² of used voxels. Our choice: with 8 echoes of 10 to 80 ms and T2 = 40 ms, 44 % of voxels are below it if S0
is 8 times the noise, 1 % at 15 times, none at 30 times."""

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


def usable_voxels(t2: RelaxationMap) -> NDArray[np.bool_]:
    """(z, y, x): voxels with a time in the range of cartilage and a sufficient fit."""
    return np.asarray((t2.time_ms <= t2.relaxation.longest_ms) & ~(t2.r2 < MIN_R2))


def measure_t2(
    t2: RelaxationMap, labels: LabelArray, depth: FloatArray, scheme: Scheme = REGION_SCHEME
) -> tuple[Measurement, ...]:
    """Mean, std and median (ms) in every region of a scheme, and in both layers: T2, T2_deep, T2_superficial, or the
    same of T1rho; and the percentage of voxels left out, with n the number of all voxels.

    labels (z, y, x): regions of the scheme by number; depth: relative_depth's. Voxels without a fit, with a time above
    the longest of cartilage, or with R² below MIN_R2 (if the method has R²) are excluded; n is the number of used
    voxels.
    """
    relaxation = t2.relaxation
    cartilage = labels > 0
    usable = usable_voxels(t2) & cartilage
    every = np.bincount(labels[cartilage], minlength=256)
    values = t2.time_ms[usable].astype(np.float64)
    label, at = labels[usable], depth[usable]
    rows: list[Measurement] = []
    for region in _in_order(scheme):
        here = np.isin(label, region.numbers)
        for quantity, where in (
            (relaxation.whole, here),
            (relaxation.deep, here & (at < DEEP_BELOW)),
            (relaxation.superficial, here & (at >= DEEP_BELOW)),
        ):
            rows += _rows(quantity, t2.method, region, values[where])
        rows.append(
            _excluded(relaxation.excluded, t2.method, region, int(here.sum()), int(every[list(region.numbers)].sum()))
        )
    return tuple(rows)


def _in_order(scheme: Scheme) -> tuple[Region, ...]:
    """The regions of a scheme as results.csv has them: a whole plate after its parts."""
    if scheme is not REGION_SCHEME:
        return scheme.regions
    return tuple(region for plate in Plate for region in (*plate.parts, plate.whole))


def _excluded(quantity: Quantity, method: Method, region: Region, used: int, every: int) -> Measurement:
    return Measurement.of(
        quantity,
        method=method,
        structure=region.plate,
        region=region.name,
        statistic=quantity.main,
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

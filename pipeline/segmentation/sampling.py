"""Separable linear resampling between a scan's grid and a network's isotropic grid, and intensity normalisation.

Both grids have the same lower edge of the field of view (not the centre of the first voxel) along every axis.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import FloatArray

FloatVolume = NDArray[np.float32]

LOW_PASS_FROM: Final = 1.2
"""Ratio of spacings from which the image is smoothed before sampling."""
LOW_PASS_SD: Final = 0.35
"""Standard deviation of that smoothing, in voxels of the coarser grid."""
QUANTILES: Final = (0.001, 0.999)
"""Intensities are clipped to these quantiles (the upper one times HEADROOM) before standardisation, as in training."""
HEADROOM: Final = 1.2
QUANTILE_STRIDE: Final = 7
"""Quantiles are computed from every 7th voxel."""
PLANES_AT_ONCE: Final = 16
"""Planes of the scan resampled together: a copy of the whole scan would need as much memory again."""
MIN_VOXELS: Final = 16
"""Fewest voxels along an axis of the isotropic grid: the network halves it four times."""


def isotropic_shape(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], resolution_mm: float
) -> tuple[int, int, int]:
    """Voxels of the isotropic grid that cover the same field of view."""
    a, b, c = (
        max(MIN_VOXELS, round(n * spacing / resolution_mm)) for n, spacing in zip(shape, spacing_mm, strict=True)
    )
    return a, b, c


def positions(count: int, spacing_mm: float, source_spacing_mm: float) -> FloatArray:
    """(count,): centres of `count` voxels in the index of a source axis with the same lower edge."""
    return np.asarray((np.arange(count) + 0.5) * (spacing_mm / source_spacing_mm) - 0.5, dtype=np.float64)


def linear_matrix(where: FloatArray, source_count: int) -> FloatVolume:
    """(len(where), source_count): linear interpolation at fractional indices; outside, edge values are repeated."""
    lower, weight = linear_taps(where, source_count)
    matrix = np.zeros((len(where), source_count), dtype=np.float32)
    rows = np.arange(len(where))
    matrix[rows, lower] = 1.0 - weight
    matrix[rows, np.minimum(lower + 1, source_count - 1)] += weight
    return matrix


def linear_taps(where: FloatArray, source_count: int) -> tuple[NDArray[np.intp], FloatVolume]:
    """Index of the lower neighbour (n,) and weight of the upper one (n,) for linear interpolation."""
    inside = np.clip(where, 0, source_count - 1)
    lower = np.clip(np.floor(inside).astype(np.intp), 0, max(source_count - 2, 0))
    return lower, np.asarray(inside - lower, dtype=np.float32)


def interpolated(volume: FloatVolume, first: FloatVolume, second: FloatVolume, third: FloatVolume) -> FloatVolume:
    """(a, b, c): interpolation by one matrix per axis."""
    planes = second @ (volume @ third.T)
    mixed: FloatVolume = first @ planes.reshape(len(volume), -1)
    return mixed.reshape(len(first), len(second), len(third))


def low_pass_matrix(count: int, sd_voxels: float) -> FloatVolume:
    """(count, count): Gaussian smoothing along one axis, truncated at 3 SD, with repeated edge values."""
    radius = int(3 * sd_voxels + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sd_voxels) ** 2)
    kernel /= kernel.sum()
    matrix = np.zeros((count, count), dtype=np.float64)
    rows = np.arange(count)
    for offset, value in zip(range(-radius, radius + 1), kernel, strict=True):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, count - 1)), value)
    return matrix.astype(np.float32)


def downsampling_matrix(count: int, spacing_mm: float, resolution_mm: float, target_count: int) -> FloatVolume:
    """(target_count, count): from a scan's axis to the isotropic one, with smoothing if the scan is finer."""
    matrix = linear_matrix(positions(target_count, resolution_mm, spacing_mm), count)
    ratio = resolution_mm / spacing_mm
    if ratio > LOW_PASS_FROM:
        matrix = matrix @ low_pass_matrix(count, LOW_PASS_SD * ratio)
    return matrix


def to_isotropic(image: FloatVolume, spacing_mm: tuple[float, float, float], resolution_mm: float) -> FloatVolume:
    """Image in a network's axes (any strides) -> isotropic volume of `isotropic_shape`, plane by plane."""
    shape = image.shape[0], image.shape[1], image.shape[2]
    target = isotropic_shape(shape, spacing_mm, resolution_mm)
    first, second, third = (
        downsampling_matrix(n, spacing, resolution_mm, m)
        for n, spacing, m in zip(shape, spacing_mm, target, strict=True)
    )
    planes = np.empty((shape[0], target[1], target[2]), dtype=np.float32)
    for start in range(0, shape[0], PLANES_AT_ONCE):
        several = np.ascontiguousarray(image[start : start + PLANES_AT_ONCE])
        for plane, resampled in zip(several, planes[start:], strict=False):
            resampled[:] = second @ (plane @ third.T)
    return (first @ planes.reshape(shape[0], -1)).reshape(target)


def standardise(volume: FloatVolume) -> FloatVolume:
    """Clip to the quantiles, subtract the mean, divide by the standard deviation."""
    low, high = np.quantile(volume.reshape(-1)[::QUANTILE_STRIDE], QUANTILES)
    clipped: FloatVolume = np.clip(volume, low, max(high, high * HEADROOM), dtype=np.float32)
    clipped -= np.float32(clipped.mean(dtype=np.float64))
    clipped /= np.float32(clipped.std(dtype=np.float64) + 1e-6)
    return clipped

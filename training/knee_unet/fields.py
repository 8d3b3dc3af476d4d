"""Operations on patches: smooth noise, resampling along one axis, soft steps."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.special import expit

from pipeline.segmentation.sampling import linear_matrix
from training.limb import Field

Shape = tuple[int, int, int]


def smooth_noise(rng: np.random.Generator, shape: Shape, cell_voxels: float) -> Field:
    """Random field, mean 0, SD at most 1: Gaussian values on a lattice of cell_voxels, interpolated linearly."""
    counts = [max(2, int(np.ceil(n / cell_voxels)) + 1) for n in shape]
    field = rng.standard_normal(counts, dtype=np.float32)
    for axis, (n, m) in enumerate(zip(shape, counts, strict=True)):
        field = along(field, axis, linear_matrix(np.linspace(0.0, m - 1.0, n), m))
    return field


def along(volume: Field, axis: int, matrix: Field) -> Field:
    """Apply a matrix (targets, n) along one axis of length n."""
    return np.ascontiguousarray(np.moveaxis(np.tensordot(matrix, volume, axes=(1, axis)), 0, axis))


def blurred(volume: Field, axis: int, sd_voxels: float) -> Field:
    """Gaussian smoothing along one axis; no operation below an SD of 0.15 voxels."""
    if sd_voxels < 0.15:
        return volume
    return np.asarray(ndimage.gaussian_filter1d(volume, sd_voxels, axis, mode="nearest", truncate=3.0), np.float32)


def soft_step(values: Field, width: float) -> Field:
    """Smooth step from 0 to 1 around zero, over about four widths."""
    return np.asarray(expit(values * np.float32(1.0 / width)), np.float32)

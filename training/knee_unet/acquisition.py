"""Simulated acquisition of a patch: resolution, thick slices, receive field, noise, grey scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.segmentation.sampling import linear_matrix, positions
from training.knee_unet.fields import along, blurred, smooth_noise
from training.limb import Field

PSF_MM: Final = (0.14, 0.6)
"""SD of the point spread along each axis."""
NOISE: Final = (0.005, 0.06)
"""SD in each receiver channel at COARSE_MM, relative to the brightest tissue; scaled for other voxel sizes."""
COARSE_MM: Final = 0.7


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Probability of a 2D acquisition, of sagittal slices among these, and the range of slice thickness."""

    often: float
    side_to_side: float
    thick_mm: tuple[float, float]


SPIN_ECHO: Final = {
    "fat_bright": Slices(often=0.75, side_to_side=0.85, thick_mm=(2.0, 4.6)),
    "fat_suppressed": Slices(often=0.65, side_to_side=0.85, thick_mm=(2.0, 4.6)),
}
OTHERS: Final = Slices(often=0.3, side_to_side=0.7, thick_mm=(1.0, 4.2))
"""Spin echo is mostly a 2D acquisition with thick slices; other contrasts are mostly 3D."""
ACROSS_MM: Final = (0.8, 2.0)
"""Coronal or axial slices."""
THIN_SLICES_MM: Final = (0.55, 0.9)
"""Slice thickness of a sagittal 3D scan; has an effect only where voxels are smaller."""


def acquire(image: Field, rng: np.random.Generator, voxel_mm: float, family: str) -> Field:
    """The patch as network input: degraded, then standardised, with a random gain and offset.

    family: the contrast family (contrast.FAMILIES)
    """
    for axis in range(3):
        image = blurred(image, axis, rng.uniform(*PSF_MM) / voxel_mm)
    slices = SPIN_ECHO.get(family, OTHERS)
    if rng.random() < slices.often:
        axis = 0 if rng.random() < slices.side_to_side else int(rng.integers(1, 3))
        thickness = rng.uniform(*(slices.thick_mm if axis == 0 else ACROSS_MM))
        image = _as_slices(image, rng, axis, thickness / voxel_mm)
    elif voxel_mm < THIN_SLICES_MM[0]:
        image = _as_slices(image, rng, 0, rng.uniform(*THIN_SLICES_MM) / voxel_mm)
    field = smooth_noise(rng, image.shape, rng.uniform(28, 63) / voxel_mm)
    image = image * np.exp(field * np.float32(rng.uniform(0.0, 0.3)))
    bright = float(np.quantile(image.reshape(-1)[::37], 0.99)) + 1e-6
    image = rician(image / np.float32(bright), rng, rng.uniform(*NOISE) * (COARSE_MM / voxel_mm) ** 1.5)
    if rng.random() < (0.2 if voxel_mm >= COARSE_MM else 0.6):  # interpolated, as by the scanner or for the network
        for axis in range(3) if voxel_mm < COARSE_MM else (int(rng.integers(3)),):
            image = blurred(image, axis, rng.uniform(0.3, 0.7))
    image = np.clip(image, 0.0, 2.5) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    if rng.random() < 0.02:
        image = image.max() - image
    image = (image - image.mean()) / (image.std() + np.float32(1e-6))
    return np.asarray(image * np.float32(rng.uniform(0.7, 1.4)) + np.float32(rng.uniform(-0.4, 0.4)), np.float32)


def _as_slices(image: Field, rng: np.random.Generator, axis: int, thickness: float) -> Field:
    """Average to slices of `thickness` voxels along an axis, and interpolate back as the pipeline does."""
    count = image.shape[axis]
    slices = max(4, round(count / thickness))
    step = count / slices
    thick = along(blurred(image, axis, 0.3 * step), axis, linear_matrix(positions(slices, step, 1.0), count))
    thick = rician(thick, rng, rng.uniform(0.0, 0.04) * float(np.abs(thick).mean()))
    return along(thick, axis, linear_matrix(positions(count, 1.0, step), slices))


def rician(image: Field, rng: np.random.Generator, sd: float) -> Field:
    """Magnitude of a signal with Gaussian noise in both channels."""
    real = image + np.float32(sd) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.hypot(real, np.float32(sd) * rng.standard_normal(image.shape, dtype=np.float32))

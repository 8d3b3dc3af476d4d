"""What the scanner and the export do to a patch: resolution, thick slices, receive field, noise, grey scale."""

from __future__ import annotations

import numpy as np

from pipeline.segmentation.sampling import linear_matrix, positions
from training.knee_unet.fields import along, blurred, smooth_noise
from training.limb import Field


def acquire(image: Field, rng: np.random.Generator, resolution_mm: float) -> Field:
    """The patch as a network gets it: degraded, then standardised, with a gain and an offset of its own."""
    for axis in range(3):
        image = blurred(image, axis, rng.uniform(0.2, 0.65))
    if rng.random() < 0.45:
        image = _thick_slices(image, rng, resolution_mm)
    image = image * np.exp(smooth_noise(rng, image.shape, rng.uniform(40, 90)) * np.float32(rng.uniform(0.0, 0.3)))
    bright = float(np.quantile(image.reshape(-1)[::37], 0.99)) + 1e-6
    image = _rician(image / np.float32(bright), rng, rng.uniform(0.005, 0.06))
    if rng.random() < 0.2:
        image = blurred(image, int(rng.integers(3)), rng.uniform(0.3, 0.7))
    image = np.clip(image, 0.0, 2.5) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    if rng.random() < 0.02:
        image = image.max() - image
    image = (image - image.mean()) / (image.std() + np.float32(1e-6))
    return np.asarray(image * np.float32(rng.uniform(0.7, 1.4)) + np.float32(rng.uniform(-0.4, 0.4)), np.float32)


def _thick_slices(image: Field, rng: np.random.Generator, resolution_mm: float) -> Field:
    """Fewer, thicker slices along an axis, most often the sagittal one, and back again as the product does it."""
    axis = 0 if rng.random() < 0.7 else int(rng.integers(1, 3))
    thickness = rng.uniform(1.0, 4.2) if axis == 0 else rng.uniform(0.8, 2.0)
    count = image.shape[axis]
    slices = max(4, round(count * resolution_mm / thickness))
    step = count / slices
    thick = along(blurred(image, axis, 0.3 * step), axis, linear_matrix(positions(slices, step, 1.0), count))
    thick = _rician(thick, rng, rng.uniform(0.0, 0.04) * float(np.abs(thick).mean()))
    return along(thick, axis, linear_matrix(positions(count, 1.0, step), slices))


def _rician(image: Field, rng: np.random.Generator, sd: float) -> Field:
    """Magnitude of a signal with noise in both channels."""
    real = image + np.float32(sd) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.hypot(real, np.float32(sd) * rng.standard_normal(image.shape, dtype=np.float32))

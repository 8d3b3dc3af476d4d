"""Training patches of a lab's scans: a random pose of scan and labels, and a random grey scale."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.grid import FloatArray
from training.adapt.cases import LabCase
from training.knee_unet.acquisition import rician
from training.knee_unet.fields import Shape, blurred, smooth_noise
from training.knee_unet.patches import SUB_VOXEL, Patch, draw_matrix
from training.knee_unet.specimen import CARTILAGE_CLASSES, RESOLUTION_MM, lookup
from training.limb import Field

ON_CARTILAGE: Final = 0.8
"""Probability that a patch is centred near cartilage; otherwise anywhere."""
FIELD: Final = (0.0, 0.2)
GAMMA: Final = 0.25
OFTEN_BLURRED: Final = 0.3
BLUR_VOXELS: Final = (0.3, 0.7)
NOISE: Final = (0.0, 0.03)
"""Relative to the 99th percentile."""


def lab_patch(case: LabCase, classes: tuple[int, ...], rng: np.random.Generator, shape: Shape) -> Patch:
    """A patch of one scan; deterministic for a given generator state.

    classes: that the lab labelled (cases.known_classes)
    """
    matrix, centre = draw_matrix(rng), _centre(case, rng, shape)
    axes = np.ix_(*(((np.arange(n) - 0.5 * (n - 1)) * RESOLUTION_MM).astype(np.float32) for n in shape))
    m = matrix.astype(np.float32)
    places = [m[i, 0] * axes[0] + m[i, 1] * axes[1] + m[i, 2] * axes[2] + np.float32(centre[i]) for i in range(3)]
    index = [place * np.float32(1.0 / RESOLUTION_MM) - np.float32(0.5) for place in places]
    image = ndimage.map_coordinates(case.image, index, np.float32, order=1, mode="nearest")
    a, b, c = ((place >= 0) & (place < extent) for place, extent in zip(places, case.extent_mm, strict=True))
    seen = a & b & c
    if rng.random() < 0.5:
        image = image * seen
    targets = np.zeros((len(classes), *shape), np.float32)
    for offset in SUB_VOXEL * RESOLUTION_MM:
        here = lookup(case.classes, case.spacing_mm, places, matrix @ offset)
        for k, number in enumerate(classes[1:], start=1):
            targets[k] += np.float32(1.0 / len(SUB_VOXEL)) * ((here == number) & seen)
    targets[0] = 1.0 - targets[1:].sum(0)
    return Patch(image=_regraded(image, rng)[None], targets=targets, family="lab", classes=classes)


def _centre(case: LabCase, rng: np.random.Generator, shape: Shape) -> FloatArray:
    """(3,) mm from the lower edges: near cartilage, every plate equally often, or anywhere."""
    landmarks: dict[int, FloatArray] = case.__dict__.setdefault("landmarks", {})
    if not landmarks:
        thin = np.asarray(case.classes[::3, ::3, ::3])
        for k in CARTILAGE_CLASSES:
            if (thin == k).any():
                landmarks[k] = (np.argwhere(thin == k) * 3 + 0.5) * np.array(case.spacing_mm)
    if rng.random() >= ON_CARTILAGE or not landmarks:
        return np.asarray(rng.uniform(0.15, 0.85, 3) * case.extent_mm)
    points = landmarks[int(rng.choice(list(landmarks)))]
    half = 0.5 * np.array(shape) * RESOLUTION_MM
    return np.asarray(points[rng.integers(len(points))] + rng.uniform(-0.5, 0.5, 3) * half)


def _regraded(image: Field, rng: np.random.Generator) -> Field:
    """Receive field, resolution, noise and grey scale within what one scanner varies; then standardised."""
    if rng.random() < OFTEN_BLURRED:
        for axis in range(3):
            image = blurred(image, axis, float(rng.uniform(*BLUR_VOXELS)))
    low, bright = (float(v) for v in np.quantile(image.reshape(-1)[::37], (0.001, 0.99)))
    image = np.clip((image - min(low, 0.0)) / (bright - min(low, 0.0) + 1e-6), 0.0, 2.5)
    field = smooth_noise(rng, image.shape, rng.uniform(28, 63) / RESOLUTION_MM)  # type: ignore[arg-type]
    image = image * np.exp(field * np.float32(rng.uniform(*FIELD)))
    image = rician(image, rng, float(rng.uniform(*NOISE))) ** np.float32(np.exp(rng.uniform(-GAMMA, GAMMA)))
    image = (image - image.mean()) / (image.std() + np.float32(1e-6))
    return np.asarray(image * np.float32(rng.uniform(0.85, 1.18)) + np.float32(rng.uniform(-0.2, 0.2)), np.float32)

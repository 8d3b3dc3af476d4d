"""Features of a ray: grey values and first-pass probabilities along it, near it, and in the whole scan.

Grey values are normalised to the contrast of the scan, marrow 0 and cartilage 1 as found nearby by the first pass:
the appearance of an edge depends mainly on this contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import csr_matrix

from pipeline.segmentation.edges.rays import Rays
from pipeline.segmentation.first_pass import PROBABILITY_LEVELS
from pipeline.segmentation.sampling import FloatVolume

STEP_MM: Final = 0.25
DEPTHS_MM: Final = np.arange(-3.0, 6.0, STEP_MM, dtype=np.float32)
"""Positions along a ray, from the marrow to beyond the thickest cartilage."""
CLOSE_RAYS: Final = 7
NEAR_RAYS: Final = 25
"""A ray and its nearest neighbours: about 1 and 2 mm around it; Rays.neighbours reaches 3 mm."""
MARROW_MM: Final = -1.0
"""Marrow is sampled from this depth inwards, below the cortex."""
LEAST_CONTRAST: Final = 0.3
"""Between marrow and cartilage, in SD of all grey values along the rays: the minimum used for normalisation."""
LIMITS: Final = (-3.0, 4.0)
SURFACES: Final = 3
"""Femur, tibia, patella, in the order of their classes."""
FEATURES: Final = 15 * len(DEPTHS_MM) + 5 + SURFACES
"""Number of features of a ray."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Profiles:
    """All (n, len(DEPTHS_MM)): grey values, and first-pass probabilities of the ray's own bone and cartilage
    and of all other bones and cartilages.
    """

    grey: FloatVolume
    bone: FloatVolume
    cartilage: FloatVolume
    other_bone: FloatVolume
    other_cartilage: FloatVolume


def read(
    image: FloatVolume,
    spacing_mm: tuple[float, float, float],
    kept: NDArray[np.uint8],
    resolution_mm: float,
    rays: Rays,
    pairs: list[tuple[int, int]],
) -> Profiles:
    """Sample the scan (a, b, c) and the first pass (classes - 1, ...) along the rays, by linear interpolation.

    pairs: (bone, cartilage) classes of all surfaces
    """
    places = rays.at(DEPTHS_MM)
    own = {
        k: sampled(kept[k - 1], places, (resolution_mm,) * 3) / np.float32(PROBABILITY_LEVELS)
        for pair in pairs
        for k in pair
    }
    others = [pair for pair in pairs if pair[0] != rays.bone]
    return Profiles(
        grey=sampled(image, places, spacing_mm),
        bone=own[rays.bone],
        cartilage=own[rays.cartilage],
        other_bone=sum((own[bone] for bone, _ in others), np.zeros_like(own[rays.bone])),
        other_cartilage=sum((own[cartilage] for _, cartilage in others), np.zeros_like(own[rays.bone])),
    )


def features(
    profiles: Profiles, rays: Rays, blur_mm: FloatVolume, surface: int, chosen: NDArray[np.intp] | slice = slice(None)
) -> FloatVolume:
    """(n, FEATURES): features of all rays, or of the chosen ones.

    surface: 0 to SURFACES - 1; blur_mm: by blur_along
    """
    bone, cartilage = profiles.bone, profiles.cartilage
    near = rays.neighbours
    grey = (profiles.grey - profiles.grey.mean()) / np.float32(profiles.grey.std() + 1e-6)
    deep = bone * (DEPTHS_MM < MARROW_MM)
    rest = np.clip(1.0 - bone - cartilage - profiles.other_bone - profiles.other_cartilage, 0.0, 1.0)
    marrow, plate, beyond = (_level(grey, weight, near) for weight in (deep, cartilage, rest))
    contrast = plate - marrow
    contrast = np.where(contrast < 0, -1.0, 1.0) * np.maximum(np.abs(contrast), LEAST_CONTRAST)
    relative = np.clip((grey - marrow[:, None]) / contrast[:, None], *LIMITS)
    seen = np.concatenate([relative, bone, cartilage], axis=1)
    covered = cartilage.max(axis=1) > 0.5
    typical = seen[covered].mean(axis=0) if covered.any() else seen.mean(axis=0)
    own = seen[chosen]
    which = np.zeros((len(own), SURFACES), np.float32)
    which[:, surface] = 1.0
    return np.concatenate(
        [
            own,
            profiles.other_bone[chosen],
            profiles.other_cartilage[chosen],
            np.clip(grey[chosen], *LIMITS),
            _mean_of(seen, near[chosen, 1:CLOSE_RAYS]),
            _mean_of(seen, near[chosen, :NEAR_RAYS]),
            np.broadcast_to(typical, own.shape),
            np.stack([marrow, plate, beyond, contrast, blur_mm], axis=1)[chosen],
            which,
        ],
        axis=1,
        dtype=np.float32,
    )


def _mean_of(seen: FloatVolume, rows: NDArray[np.intp]) -> FloatVolume:
    """(m, f): the mean of the rows (m, k) of seen (n, f)."""
    count, each = rows.shape
    weights = np.full(rows.size, 1.0 / each, np.float32)
    starts = np.arange(0, rows.size + 1, each)
    return np.asarray(csr_matrix((weights, rows.reshape(-1), starts), (count, len(seen))) @ seen)


def blur_along(rays: Rays, spacing_mm: tuple[float, float, float]) -> FloatVolume:
    """(n,) mm: the side of a voxel as a ray crosses it."""
    return np.asarray(np.abs(rays.normals) @ np.array(spacing_mm, np.float32))


def _level(grey: FloatVolume, weight: FloatVolume, near: NDArray[np.intp]) -> FloatVolume:
    """(n,): the mean grey value around every ray, weighted; with too little weight, that of the whole surface."""
    total, mass = (grey * weight).sum(axis=1), weight.sum(axis=1)
    whole = total.sum() / max(float(mass.sum()), 1e-6)
    return np.asarray((total[near].mean(axis=1) + 0.1 * whole) / (mass[near].mean(axis=1) + 0.1), np.float32)


def sampled(volume: NDArray[np.generic], places_mm: FloatVolume, spacing_mm: tuple[float, float, float]) -> FloatVolume:
    """Linear interpolation; outside, the edge values are repeated."""
    index = np.moveaxis(places_mm / np.array(spacing_mm, np.float32) - np.float32(0.5), -1, 0)
    return np.asarray(ndimage.map_coordinates(volume, index, np.float32, order=1, mode="nearest", prefilter=False))

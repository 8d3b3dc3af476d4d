"""A surface seen again, as another joint in another scan would show it.

Thousands of rays share one joint: its plate of cortical bone, the layers of its cartilage, the film of fluid on it. A
network that has seen some hundred joints knows each of them by heart, and is wrong about a new one all over the surface
in the same sense. Changing what the rays of a surface share makes many joints of one. It is done on profiles, where a
joint costs a tenth of a second, not the seconds of an image and a first answer.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

import numpy as np

from pipeline.segmentation.edges.profiles import DEPTHS_MM, STEP_MM, Profiles
from pipeline.segmentation.sampling import linear_matrix
from training.limb import Field

STRETCH: Final = 0.3
"""Half the range of the logarithm by which all that lies along a ray is stretched, about the first answer's bone."""
SHIFT_MM: Final = 0.1
"""SD of how far the first answer is moved against image and truth."""
TONE: Final = 0.35
"""Half the range of the logarithm of the exponent on grey values."""
LAYERS: Final = (0.25, (0.3, 1.5))
PLATE: Final = (0.25, (0.2, 0.8))
FILM: Final = (0.25, (0.15, 0.6))
"""What is added at the deep side of the cartilage, below it and above it: SD, in SD of the surface's grey values; and
over how many mm it fades.
"""
SOFT: Final = (0.25, 0.5, 0.25)
"""Weights of neighbouring depths: what is added is no sharper than an image."""


def varied(seen: Profiles, truth: Field, rng: np.random.Generator) -> tuple[Profiles, Field]:
    """Profiles and what lies along each ray (n, 3, depths), changed alike; the same state, the same change."""
    depths = DEPTHS_MM / np.float32(np.exp(rng.uniform(-STRETCH, STRETCH)))
    first, image = (_resampling(depths + shift) for shift in (SHIFT_MM * rng.standard_normal(), 0.0))
    moved = Profiles(**{part.name: getattr(seen, part.name) @ first for part in fields(Profiles)})
    shares = truth @ image
    grey = _toned(seen.grey, rng) @ image
    return replace(moved, grey=_repainted(grey, shares, rng)), shares


def _resampling(depths_mm: Field) -> Field:
    """(depths, depths): values along a ray @ this are those at depths_mm."""
    return np.asarray(linear_matrix((depths_mm - DEPTHS_MM[0]) / STEP_MM, len(DEPTHS_MM)).T, np.float32)


def _toned(grey: Field, rng: np.random.Generator) -> Field:
    """Grey values on another scale, which keeps their order."""
    low, high = (float(level) for level in np.percentile(grey, (1, 99)))
    width = max(high - low, 1e-6)
    exponent = np.exp(rng.uniform(-TONE, TONE))
    relative = np.clip((grey - low) / width, 0.0, 2.0)
    return np.asarray(low + width * relative**exponent, np.float32)


def _repainted(grey: Field, shares: Field, rng: np.random.Generator) -> Field:
    """With other layers in the cartilage, another plate below it and another film on it."""
    bone, cartilage, rest = np.moveaxis(shares, 1, 0)
    inner = DEPTHS_MM[0] + STEP_MM * (bone.sum(axis=1, keepdims=True) - 0.5)
    outer = inner + STEP_MM * cartilage.sum(axis=1, keepdims=True)
    above, beyond = DEPTHS_MM - inner, DEPTHS_MM - outer
    added = np.zeros_like(grey)
    for (strength, reach), share, off in ((LAYERS, cartilage, above), (PLATE, bone, -above), (FILM, rest, beyond)):
        amount = strength * rng.standard_normal() * float(grey.std())
        added += np.float32(amount) * share * np.exp(-np.maximum(off, 0.0) / np.float32(rng.uniform(*reach)))
    padded = np.pad(added, ((0, 0), (1, 1)), mode="edge")
    soft = sum(np.float32(w) * padded[:, k : k + grey.shape[1]] for k, w in enumerate(SOFT))
    return np.asarray(grey + soft, np.float32)

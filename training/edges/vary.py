"""Data augmentation of profiles: a surface as it would appear in another joint and scan.

The thousands of rays of one joint share its cortical bone plate, its cartilage layers and its fluid film. A network
trained on some hundred joints memorises them, and its error on a new joint has the same sign all over a surface.
Varying these shared properties turns one joint into many. This is done on profiles, which takes 0.1 s per joint
instead of the seconds needed for an image and its first pass.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

import numpy as np

from pipeline.segmentation.edges.profiles import DEPTHS_MM, STEP_MM, Profiles
from pipeline.segmentation.sampling import linear_matrix
from training.limb import Field

STRETCH: Final = 0.3
"""Half-range of the log of the factor by which a ray is stretched, about the bone edge of the first pass."""
SHIFT_MM: Final = 0.1
"""SD of the shift of the first pass relative to image and truth."""
TONE: Final = 0.35
"""Half-range of the log of the exponent (gamma) applied to grey values."""
LAYERS: Final = (0.25, (0.3, 1.5))
PLATE: Final = (0.25, (0.2, 0.8))
FILM: Final = (0.25, (0.15, 0.6))
"""Signal added in the deep cartilage, in the bone below it and in the fluid above it: SD (in SD of the surface's grey
values), and range of the decay length in mm.
"""
SOFT: Final = (0.25, 0.5, 0.25)
"""Weights of neighbouring depths: the added signal is no sharper than the image."""


def varied(seen: Profiles, truth: Field, rng: np.random.Generator) -> tuple[Profiles, Field]:
    """Profiles and true fractions (n, 3, depths) with the same random change; deterministic for a generator state."""
    depths = DEPTHS_MM / np.float32(np.exp(rng.uniform(-STRETCH, STRETCH)))
    first, image = (_resampling(depths + shift) for shift in (SHIFT_MM * rng.standard_normal(), 0.0))
    moved = Profiles(**{part.name: getattr(seen, part.name) @ first for part in fields(Profiles)})
    shares = truth @ image
    grey = _toned(seen.grey, rng) @ image
    return replace(moved, grey=_with_other_layers(grey, shares, rng)), shares


def _resampling(depths_mm: Field) -> Field:
    """(depths, depths) matrix: values along a ray @ matrix are the values at depths_mm."""
    return np.asarray(linear_matrix((depths_mm - DEPTHS_MM[0]) / STEP_MM, len(DEPTHS_MM)).T, np.float32)


def _toned(grey: Field, rng: np.random.Generator) -> Field:
    """Grey values after a random monotonic (gamma) change."""
    low, high = (float(level) for level in np.percentile(grey, (1, 99)))
    width = max(high - low, 1e-6)
    exponent = np.exp(rng.uniform(-TONE, TONE))
    relative = np.clip((grey - low) / width, 0.0, 2.0)
    return np.asarray(low + width * relative**exponent, np.float32)


def _with_other_layers(grey: Field, shares: Field, rng: np.random.Generator) -> Field:
    """Grey values with random changes of the cartilage layers, the bone plate below and the fluid film above."""
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

"""What a first pass might have answered, for training the second: the truth, displaced, blurred, with holes.

Imagined, not computed: it is cheaper, and the second pass does not have to be trained again when the first
improves. Displaced by more than a first pass errs, so that the image decides where an edge is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from training.knee_unet.fields import blurred, smooth_noise, soft_step
from training.knee_unet.specimen import CARTILAGE_CLASSES, CLASS_COUNT, Specimen, lookup
from training.limb import Field

NO_ANSWER: Final = 0.06
"""How often the first pass says nothing at all."""
WIDE_MM: Final = (0.0, 1.0)
NARROW_MM: Final = (0.2, 1.0)
"""Displacement of edges over about 12 mm and over about 4 mm."""
BLUR_MM: Final = (0.25, 0.7)
HOLES: Final = 0.35
"""How often parts of the cartilage are missing."""


def imagined_first_pass(specimen: Specimen, places: list[Field], voxel_mm: float, rng: np.random.Generator) -> Field:
    """(classes - 1, a, b, c) float32 probabilities of every class but the background, at places (mm)."""
    shape = places[0].shape[0], places[0].shape[1], places[0].shape[2]
    answer = np.zeros((CLASS_COUNT - 1, *shape), np.float32)
    if rng.random() < NO_ANSWER:
        return answer
    for bounds, cells_mm in ((WIDE_MM, (9.0, 16.0)), (NARROW_MM, (3.0, 6.0))):
        strength, cell = np.float32(rng.uniform(*bounds)), rng.uniform(*cells_mm) / voxel_mm
        places = [place + strength * smooth_noise(rng, shape, cell) for place in places]
    classes = lookup(specimen.classes, specimen.spacing_mm, places)
    kept = np.float32(1.0)
    if rng.random() < HOLES:
        noise = smooth_noise(rng, shape, rng.uniform(4.0, 12.0) / voxel_mm)
        kept = soft_step(np.float32(rng.uniform(0.5, 1.3)) - noise, 0.1)
    blur = rng.uniform(*BLUR_MM) / voxel_mm
    for k in range(1, CLASS_COUNT):
        share = (classes == k).astype(np.float32)
        if not share.any():
            continue
        for axis in range(3):
            share = blurred(share, axis, blur)
        answer[k - 1] = share * kept if k in CARTILAGE_CLASSES else share
    return answer

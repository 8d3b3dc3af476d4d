"""Changes of a knee's labels: menisci, denuded patches, osteophytes. Shapes come from training/generator; the images of
the changed labels do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.anatomy import BONES, Structure
from pipeline.types import LabelArray, Segmentation
from training.generator.materials import BONE_OF_PLATE, MENISCI
from training.generator.menisci import draw_meniscus, draw_shape
from training.generator.space import box_around
from training.generator.wear import denuded, with_osteophytes
from training.limb import limb_frame

DENUDED_CM2: Final = {
    Structure.FEMORAL_CARTILAGE: (1.5, 4.0),
    Structure.MEDIAL_TIBIAL_CARTILAGE: (1.0, 2.0),
    Structure.PATELLAR_CARTILAGE: (1.0, 2.5),
}
"""Area of the patch on each plate. On the smaller plates it is smaller, so that it does not reach the edge of the
plate: dAB counts enclosed patches."""
TRIES: Final = 12
"""Attempts to find such a place; the last is used."""
OSTEOPHYTES: Final = 8
"""Per bone."""


def with_menisci(knee: Segmentation, rng: np.random.Generator) -> Segmentation:
    """Both menisci. Isotropic grid, as for all functions here."""
    labels, frame = knee.labels, limb_frame(knee.labels, knee.grid)
    for meniscus in MENISCI:
        labels = draw_meniscus(labels, knee.grid, frame, meniscus, draw_shape(rng, meniscus, extruded=False), rng)
    return replace(knee, labels=labels)


def with_denuded_patches(knee: Segmentation, rng: np.random.Generator) -> Segmentation:
    """One patch of bare bone on each plate of DENUDED_CM2."""
    labels = knee.labels
    for plate, area_cm2 in DENUDED_CM2.items():
        wanted, before = float(rng.uniform(*area_cm2)), labels
        for _ in range(TRIES):
            labels, _ = denuded(before, knee.grid, plate, wanted, rng)
            if not _reaches_edge(before, labels, plate):
                break
    return replace(knee, labels=labels)


def _reaches_edge(before: LabelArray, after: LabelArray, plate: Structure) -> bool:
    """Whether bone that was bare before touches the bone that is bare now."""
    box = box_around(before == plate, 3)
    if box is None:
        return False
    old, removed = before[box], before[box] != after[box]
    on_bone = ndimage.binary_dilation(old == BONE_OF_PLATE[plate])
    return bool((ndimage.binary_dilation(removed & on_bone, iterations=2) & on_bone & (old == 0)).any())


def with_bony_spurs(knee: Segmentation, rng: np.random.Generator) -> Segmentation:
    """Osteophytes at the edges of the cartilage of every bone."""
    labels = knee.labels
    for bone in BONES:
        labels, _ = with_osteophytes(labels, knee.grid, bone, OSTEOPHYTES, rng)
    return replace(knee, labels=labels)


def without_patella(knee: Segmentation) -> Segmentation:
    """Femur, tibia and their cartilage alone."""
    kept = ~knee.mask(Structure.PATELLA, Structure.PATELLAR_CARTILAGE)
    return replace(knee, labels=knee.labels * kept.astype(np.uint8))

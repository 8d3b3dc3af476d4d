"""Checks of the cartilage by the image's own statistics, and of two answers against each other."""

from __future__ import annotations

import numpy as np

from pipeline.anatomy import CARTILAGE_OF, PLATE_ON, Structure
from pipeline.scan_checks.finding import Finding, worst
from pipeline.scan_checks.subject import Subject
from pipeline.segmentation.fluid import FLUID_RATIO
from pipeline.types import Segmentation


def fluid_on(bone: Structure, subject: Subject) -> Finding | None:
    """Share (%) of the voxels of a bone's cartilage that are as bright as fluid; None without cartilage."""
    image = subject.scan.anatomical
    femoral = subject.segmentation.mask(*CARTILAGE_OF[Structure.FEMUR])
    plate = subject.segmentation.mask(*CARTILAGE_OF[bone])
    if not femoral.any() or not plate.any():
        return None
    bright = plate & (image > FLUID_RATIO * float(np.median(image[femoral])))
    share = 100.0 * float(bright.sum() / plate.sum())
    along = int(np.argmax(subject.segmentation.grid.spacing_mm))
    fullest = int(np.argmax(bright.sum(axis=tuple(axis for axis in range(3) if axis != along))))
    inside = np.argwhere(np.take(bright, [fullest], axis=along))
    place = None
    if len(inside):
        at = inside[len(inside) // 2]
        at[along] = fullest
        place = int(at[0]), int(at[1]), int(at[2])
    name = PLATE_ON[bone].display_name.lower()
    words = f"{share:.0f} % of the {name} are brighter than {FLUID_RATIO:g} times the median of the femoral cartilage"
    return Finding(value=share, words=words, place=place)


def disagreement(subject: Subject) -> Finding | None:
    """1 - the lowest Dice of a plate of cartilage between the answer and another one; None without another."""
    found = []
    for name, other in subject.others.items():
        for bone, plates in CARTILAGE_OF.items():
            dice = _dice(subject.segmentation, other, plates)
            words = f"{PLATE_ON[bone].display_name.lower()} has a Dice of {dice:.2f} with that of {name}"
            found.append(Finding(value=1.0 - dice, words=words))
    return worst(found)


def _dice(one: Segmentation, other: Segmentation, plates: tuple[Structure, ...]) -> float:
    """1 if both have none."""
    a, b = one.mask(*plates), other.mask(*plates)
    total = int(a.sum() + b.sum())
    return 2.0 * float((a & b).sum()) / total if total else 1.0

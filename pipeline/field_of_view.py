"""What the border of the image cuts: structures, their regions, and the borders."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import ALL, BONE_OF, BONES, CARTILAGE_OF, MENISCUS_ON, PLATE_ON, REGIONS, Compartment, Structure
from pipeline.anatomy.regions import (
    FEMUR_LATERAL_POSTERIOR,
    FEMUR_LATERAL_WEIGHT_BEARING,
    FEMUR_MEDIAL_POSTERIOR,
    FEMUR_MEDIAL_WEIGHT_BEARING,
)
from pipeline.flags import FlagCode, QualityFlag
from pipeline.grid import Box
from pipeline.types import Alignment, LabelArray, Segmentation

DIRECTIONS: Final = (
    (Compartment.LATERAL.value, Compartment.MEDIAL.value),
    ("anterior", "posterior"),
    ("inferior", "superior"),
)
"""Of the axes of the reference knee: towards lower and towards higher coordinates."""

SHAFT_BORDER: Final = {Structure.FEMUR: "superior", Structure.TIBIA: "inferior"}
"""Every image cuts these bones there."""


ENDS_WITH: Final = {
    FEMUR_MEDIAL_POSTERIOR.label: FEMUR_MEDIAL_WEIGHT_BEARING.label,
    FEMUR_LATERAL_POSTERIOR.label: FEMUR_LATERAL_WEIGHT_BEARING.label,
}
"""A region -> the one that changes with it: weight bearing ends at 60 % of the way to the end of the condyle."""


def cut_flags(segmentation: Segmentation, subregions: LabelArray, alignment: Alignment) -> list[QualityFlag]:
    """One flag per plate of cartilage or meniscus that touches the border of the image, or per bone with no cut plate.

    subregions (z, y, x) uint8: the region (anatomy.REGIONS) of every cartilage voxel. A bone counts beside its
    cartilage only, and not at the end of its shaft.
    """
    borders = _borders(segmentation, alignment)
    flags = []
    for bone in BONES:
        plates = [_cut_plate(plate, segmentation, subregions, borders) for plate in CARTILAGE_OF[bone]]
        found = [flag for flag in plates if flag is not None] or _cut_bone(bone, segmentation, borders)
        flags += found
    menisci = [_cut_plate(meniscus, segmentation, subregions, borders) for meniscus in MENISCUS_ON]
    return flags + [flag for flag in menisci if flag is not None]


def _borders(segmentation: Segmentation, alignment: Alignment) -> dict[tuple[int, int], str]:
    """(axis, 0 or -1) -> anatomical direction of this border of the array."""
    steps = alignment.matrix[:3, :3] @ segmentation.grid.affine[:3, :3]
    names: dict[tuple[int, int], str] = {}
    for axis in range(3):
        along = int(np.argmax(np.abs(steps[:, axis])))
        low, high = DIRECTIONS[along] if steps[along, axis] > 0 else reversed(DIRECTIONS[along])
        names |= {(axis, 0): low, (axis, -1): high}
    return names


def _cut_plate(
    plate: Structure, segmentation: Segmentation, subregions: LabelArray, borders: dict[tuple[int, int], str]
) -> QualityFlag | None:
    touched: dict[str, int] = {}
    labels: set[int] = set()
    for (axis, end), name in borders.items():
        here = np.take(segmentation.labels, end, axis=axis) == plate
        if here.any():
            touched[name] = int(here.sum())
            labels |= set(np.take(subregions, end, axis=axis)[here].tolist())
    if not touched:
        return None
    labels |= {ENDS_WITH[label] for label in labels & ENDS_WITH.keys()}
    regions = tuple(region.name for region in REGIONS if region.label in labels and region.name != ALL)
    whole = "whole plate" if plate in BONE_OF else "all of it"
    return QualityFlag(
        code=FlagCode.CUT_BY_FIELD_OF_VIEW,
        structure=plate.key,
        regions=(*regions, ALL),
        reason=f"{plate.title.lower()} cut at the {_listed(list(touched))} border of the image",
        message=f"{plate.title} touches the border of the image ({_counted(touched)}); part of it may be outside. "
        f"Incomplete: {_listed([name.replace('_', ' ') for name in regions] + [whole])}.",
    )


def _cut_bone(bone: Structure, segmentation: Segmentation, borders: dict[tuple[int, int], str]) -> list[QualityFlag]:
    touched = {
        name: count
        for border, name in borders.items()
        if name != SHAFT_BORDER.get(bone) and (count := _beside_cartilage(bone, segmentation, border))
    }
    if not touched:
        return []
    return [
        QualityFlag(
            code=FlagCode.BONE_CUT_BY_FIELD_OF_VIEW,
            structure=bone.key,
            reason=f"{bone.title.lower()} cut at the {_listed(list(touched))} border of the image",
            message=f"{bone.title} touches the border of the image beside its cartilage ({_counted(touched)}); "
            f"{PLATE_ON[bone].display_name.lower()} may extend beyond it.",
        )
    ]


def _beside_cartilage(bone: Structure, segmentation: Segmentation, border: tuple[int, int]) -> int:
    """Voxels of a bone in a border, inside the extent of its cartilage along the other two axes."""
    boxes = [segmentation.boxes[plate] for plate in CARTILAGE_OF[bone] if plate in segmentation.boxes]
    if not boxes:
        return 0
    axis, end = border
    view = list(_around(boxes))
    view[axis] = slice(None)
    face: NDArray[np.bool_] = np.take(segmentation.labels[tuple(view)], end, axis=axis) == bone
    return int(face.sum())


def _around(boxes: list[Box]) -> Box:
    z, y, x = (slice(min(box[k].start for box in boxes), max(box[k].stop for box in boxes)) for k in range(3))
    return z, y, x


def _counted(touched: dict[str, int]) -> str:
    return ", ".join(f"{name} {count} voxels" for name, count in touched.items())


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

"""Checks of the bones: holes, parts that are missing, pieces, and where the shafts end."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.anatomy import BONES, Structure
from pipeline.grid import Grid
from pipeline.model_flags import INTERRUPTED_SHARE, interrupted_share
from pipeline.scan_checks.finding import Finding, Place, worst
from pipeline.scan_checks.holes import Mask, holes
from pipeline.scan_checks.reference_inside import missing_inside
from pipeline.scan_checks.subject import Subject
from pipeline.types import Segmentation

SHAFTS: Final = {Structure.FEMUR: 1.0, Structure.TIBIA: -1.0}
"""Direction of each shaft along the superior axis, away from the joint."""

END_SHARE: Final = 0.01
"""Fraction of a bone's voxels that are the end of its shaft."""


def holes_in_slices(subject: Subject) -> Finding | None:
    """Largest area (mm²) of a bone's holes in one slice."""
    found = [_hole(subject.segmentation, bone) for bone in BONES if bone in subject.segmentation.boxes]
    return worst([one for one in found if one is not None])


def _hole(segmentation: Segmentation, bone: Structure) -> Finding | None:
    spacing, box = segmentation.grid.spacing_mm, segmentation.boxes[bone]
    along = int(np.argmax(spacing))
    order = (along, *(axis for axis in range(3) if axis != along))
    mask = (segmentation.labels[box] == bone).transpose(order)
    step, rows, columns = (spacing[axis] for axis in order)
    found = holes(mask, (step, rows, columns))
    areas = found.sum(axis=(1, 2)) * rows * columns
    number = int(np.argmax(areas))
    place = np.zeros(3, dtype=np.intp)
    if areas[number]:
        inside = np.argwhere(found[number])
        place[list(order)] = (number, *inside[len(inside) // 2])
    z, y, x = (int(place[axis]) + box[axis].start for axis in range(3))
    return Finding(
        value=float(areas[number]),
        words=f"a hole of {areas[number]:.0f} mm² in the {bone.key} in slice {(z, y, x)[along] + 1}",
        place=(z, y, x),
    )


def missing_interior(subject: Subject) -> Finding | None:
    """Largest connected volume (mm³) of the reference bone's interior that is not labelled as this bone."""
    parts = [missing_inside(subject.segmentation, subject.alignment, bone) for bone in BONES]
    found = [
        Finding(
            value=part.volume_mm3,
            words=f"{part.volume_mm3 / 1000:.1f} cm³ inside the {part.bone.key} are not labelled as bone",
            place=part.place,
        )
        for part in parts
        if part is not None
    ]
    return worst(found) or Finding(value=0.0, words="the inside of every bone is labelled as bone")


def pieces(subject: Subject) -> Finding | None:
    """Volume (mm³) of the second largest piece of a bone in the network's answer; post-processing removes it."""
    answer = subject.answer
    found = []
    for bone in BONES:
        if bone not in answer.boxes:
            continue
        parts, count = ndimage.label(answer.labels[answer.boxes[bone]] == bone)
        sizes = np.bincount(parts.reshape(-1), minlength=count + 1)[1:]
        order = np.argsort(sizes)[::-1]
        volume = float(sizes[order[1]] * answer.grid.voxel_volume_mm3) if count > 1 else 0.0
        place = _middle(parts == order[1] + 1, answer, bone) if count > 1 else None
        words = f"a second piece of the {bone.key} of {volume / 1000:.1f} cm³ in the network's answer"
        found.append(Finding(value=volume, words=words, place=place))
    return worst(found)


def interrupted(subject: Subject) -> Finding | None:
    """Share of lines along the leg that leave a bone and enter it again, relative to the limit of its flag."""
    found = []
    for bone, limit in INTERRUPTED_SHARE.items():
        share = interrupted_share(subject.segmentation, bone)
        words = f"{100 * share:.0f} % of the lines along the leg leave the {bone.key} and enter it again"
        found.append(Finding(value=share / limit, words=words))
    return worst(found)


def shaft_ends(subject: Subject) -> Finding | None:
    """Distance (mm) between the end of a shaft and the nearest border of the image."""
    return worst([_end(subject.segmentation, bone) for bone in SHAFTS if bone in subject.segmentation.boxes])


def _end(segmentation: Segmentation, bone: Structure) -> Finding:
    grid, box = segmentation.grid, segmentation.boxes[bone]
    voxels = np.argwhere(segmentation.labels[box] == bone) + [part.start for part in box]
    height = SHAFTS[bone] * (voxels @ grid.affine[2, :3])
    end = voxels[height >= np.quantile(height, 1 - END_SHARE)]
    gaps = _to_border_mm(end, grid)
    z, y, x = end[np.argmin(gaps)]
    gap = float(gaps.min())
    words = f"the shaft of the {bone.key} ends {gap:.0f} mm before the border of the image"
    return Finding(value=gap, words=words, place=(int(z), int(y), int(x)))


def _to_border_mm(
    voxels: np.ndarray[tuple[int, ...], np.dtype[np.intp]], grid: Grid
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(n,): distance of voxels (n, 3) to the nearest face of the image."""
    steps = np.minimum(voxels, np.array(grid.shape) - 1 - voxels)
    return np.asarray((steps * grid.spacing_mm).min(axis=1), dtype=np.float64)


def _middle(piece: Mask, segmentation: Segmentation, bone: Structure) -> Place:
    inside = np.argwhere(piece) + [part.start for part in segmentation.boxes[bone]]
    z, y, x = inside[len(inside) // 2]
    return int(z), int(y), int(x)

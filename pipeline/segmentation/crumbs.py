"""Leaves out bones of which a model found only a crumb: they have no surface, and nothing can be measured on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.anatomy import BONES, CARTILAGE_OF, Structure
from pipeline.errors import SurfaceFailed
from pipeline.surface import bone_surface
from pipeline.types import Segmentation

LARGE_MM3: Final = 500.0
"""Bones of this volume have a surface: their surface is not computed here."""


def without_crumbs(segmentation: Segmentation) -> Segmentation:
    """The same without tibia or patella, and their cartilage, where they are too small for a surface.

    Each is stated in the warnings. A femur is kept: without one the scan shows no knee, which is an error elsewhere.
    """
    voxel_mm3 = segmentation.grid.voxel_volume_mm3
    crumbs = {}
    for bone in BONES:
        if bone is Structure.FEMUR or bone not in segmentation.boxes:
            continue
        volume = float(np.count_nonzero(segmentation.labels[segmentation.boxes[bone]] == bone)) * voxel_mm3
        if volume < LARGE_MM3 and not _has_surface(segmentation, bone):
            crumbs[bone] = volume
    if not crumbs:
        return segmentation
    removed = [int(part) for bone in crumbs for part in (bone, *CARTILAGE_OF[bone])]
    words = ", ".join(f"{bone.title.lower()} ({volume:.0f} mm³)" for bone, volume in crumbs.items())
    return replace(
        segmentation,
        labels=np.where(np.isin(segmentation.labels, removed), np.uint8(0), segmentation.labels),
        warnings=(
            *segmentation.warnings,
            f"Too little was found for a surface and left out: {words}. Check that the scan shows the whole joint.",
        ),
    )


def _has_surface(segmentation: Segmentation, bone: Structure) -> bool:
    try:
        bone_surface(segmentation, bone)
    except SurfaceFailed:
        return False
    return True

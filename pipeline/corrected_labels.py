"""Checks of corrected labels, before they become a version of an analysis."""

from __future__ import annotations

import numpy as np

from pipeline.anatomy import BONES, Structure
from pipeline.edits import StructureEdit, changes_between
from pipeline.errors import InvalidEdit
from pipeline.types import LabelArray


def checked_changes(before: LabelArray, after: LabelArray, *, requires_femur: bool) -> tuple[StructureEdit, ...]:
    """What a correction changes. requires_femur: as for outlines of a model.

    Raises InvalidEdit if it changes nothing or leaves no bone.
    """
    changes = changes_between(before, after)
    if not changes:
        raise InvalidEdit("The correction changes no voxel; expected at least one.", option="runs")
    present = np.zeros(256, dtype=bool)
    for plane in after:
        present |= np.bincount(plane.reshape(-1), minlength=256) > 0
    needed = (Structure.FEMUR,) if requires_femur else BONES
    if not present[list(needed)].any():
        names = " or ".join(bone.key for bone in needed)
        raise InvalidEdit(f"The correction leaves no {names}; nothing could be measured without it.", option="runs")
    return changes

"""Finds the orientation of a scan whose header is turned: networks know the knee in one orientation only.

Where a knee is upside down, they take the femur for the tibia. So the middle of the scan is segmented again in the
common orientations, until the bones fit the reference knee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.anatomy import Structure
from pipeline.one_knee import Bone, bones_of
from pipeline.options import AS_STATED
from pipeline.segmentation.segmenter import Segmenter
from pipeline.turned_knee import COMMON_TURNS, Turn, fitting_turn, refuse_turned, turned_knee
from pipeline.types import Resources, Scan

MIDDLE_MM: Final = 89.0
"""Side of the part that is segmented: the joint, in one window of the built-in networks."""


def refuse_turned_scan(segmenter: Segmenter, scan: Scan, resources: Resources, bones: Mapping[Structure, Bone]) -> None:
    """Raise TurnedKnee if the knee of a scan fits the reference knee after a turn of its header.

    bones: found in the orientation that the header states, in which they do not fit
    """
    refuse_turned(bones)
    part = _middle(scan)
    for code in COMMON_TURNS:
        found = segmenter.segment(replace(part, grid=part.grid.turned(code)), resources, lambda _: None)
        fit = fitting_turn(bones_of(found), (AS_STATED,))
        if fit is not None:
            raise turned_knee(Turn(code=code, residual_mm=fit.residual_mm))


def _middle(scan: Scan) -> Scan:
    shape = np.array(scan.grid.shape)
    size = np.minimum(shape, (MIDDLE_MM / np.array(scan.grid.spacing_mm)).astype(int))
    z, y, x = (int(n) for n in (shape - size) // 2)
    d, h, w = (int(n) for n in size)
    grid = scan.grid.crop((z, y, x), (z + d, y + h, x + w))
    return replace(scan, echoes=np.ascontiguousarray(scan.echoes[:, z : z + d, y : y + h, x : x + w]), grid=grid)

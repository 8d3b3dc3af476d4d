"""Segments one knee of a scan that may show two."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from pipeline.grid import Box
from pipeline.one_knee import one_knee, part_of_knee
from pipeline.padding import added, padding_of, planes_outside, without_planes
from pipeline.segmentation.sampling import FloatVolume
from pipeline.segmentation.segmenter import Report, Segmenter
from pipeline.segmentation.turned_scan import refuse_turned_scan
from pipeline.types import Resources, Scan, Segmentation

TISSUE_SHARE: Final = 0.05
BRIGHT_PERCENTILE: Final = 99.0
"""Planes between two knees are air or padding if this percentile is below TISSUE_SHARE of the image's."""


def segment_knee(
    segmenter: Segmenter, scan: Scan, resources: Resources, report: Report, knee: str, turn: str
) -> Segmentation:
    """Labels of one knee, before post-processing; on the scan's grid, or on a part of it (Segmentation.padding).

    If the scan shows several, the chosen knee is segmented again in its own part of the scan: networks normalise
    over their input, and the other knee changes thickness by up to 0.08 mm (measured).
    turn: chosen by the user; empty: the orientation of the scan is checked
    Raises TwoKnees if there are several and none is chosen, TurnedKnee, OptionsError, ModelError.
    """
    check = None if turn else partial(refuse_turned_scan, segmenter, scan, resources)
    if not knee:
        return one_knee(segmenter.segment(scan, resources, report), on_no_knee=check)
    both = segmenter.segment(scan, resources, lambda fraction: report(fraction / 2))
    box = part_of_knee(both, knee)
    if box is None:
        return one_knee(both, knee)
    box = _without_air(scan.anatomical, box)
    other = planes_outside(box, scan.grid.shape)
    part = without_planes(scan, other)
    padding = padding_of(part)  # of a small knee beside a large one
    own = segmenter.segment(without_planes(part, padding), resources, lambda fraction: report(0.5 + fraction / 2))
    return one_knee(replace(own, padding=added(other, padding)))


def _without_air(image: FloatVolume, box: Box) -> Box:
    """The box without planes of air or padding at the faces inside the image."""
    least = TISSUE_SHARE * np.percentile(image[box], BRIGHT_PERCENTILE)
    parts = list(box)
    for axis in range(3):
        planes = np.moveaxis(image[box], axis, 0)
        tissue = np.flatnonzero([np.percentile(plane, BRIGHT_PERCENTILE) > least for plane in planes])
        if not len(tissue):
            continue
        part, end = box[axis], image.shape[axis]
        start = part.start if part.start == 0 else part.start + int(tissue[0])
        stop = part.stop if part.stop == end else part.start + int(tissue[-1]) + 1
        parts[axis] = slice(start, stop)
    z, y, x = parts
    return z, y, x

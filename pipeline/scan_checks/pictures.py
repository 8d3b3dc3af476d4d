"""Pictures of a checked scan: slices where something was found, and some through the whole joint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image

from pipeline.anatomy import Structure
from pipeline.planes import PLANES, Plane, axis_order, picture_axes
from pipeline.report.contact_sheet import draw_slice
from pipeline.report.slices import Slice
from pipeline.scan_checks.finding import Finding
from pipeline.scan_checks.subject import Subject

OVERVIEW: Final = (0.2, 0.4, 0.6, 0.8)
"""Positions of the slices that are always shown, from the first to the last slice with a femur."""

AROUND_MM: Final = 12.0
"""Margin around the segmented structures."""

HEIGHT_PX: Final = 300
BRIGHT_PERCENTILE: Final = 99.6
JPEG_QUALITY: Final = 82


def pictures_of(subject: Subject, findings: Mapping[str, Finding]) -> dict[str, tuple[Image.Image, str]]:
    """Name -> picture and caption. findings: id of a check -> what to show; those without a place are left out.

    Slices are those of the acquisition: across the largest voxel side.
    """
    along = int(np.argmax(subject.segmentation.grid.spacing_mm))
    order = axis_order(subject.segmentation.grid)
    plane = next(plane for plane in PLANES if order[plane.normal] == along)
    cut = _cut(subject)
    shown = {name: finding.place[along] for name, finding in findings.items() if finding.place is not None}
    drawn = {
        name: (_picture(subject, plane, cut, number), f"{findings[name].words} (slice {number + 1})")
        for name, number in shown.items()
    }
    box = subject.segmentation.boxes[Structure.FEMUR][along]
    for part in OVERVIEW:
        number = box.start + round(part * (box.stop - 1 - box.start))
        drawn[f"slice_{number + 1}"] = _picture(subject, plane, cut, number), f"slice {number + 1}"
    return drawn


def _cut(subject: Subject) -> list[slice]:
    """The part of the array that is shown: all structures with a margin."""
    grid, boxes = subject.segmentation.grid, list(subject.segmentation.boxes.values())
    cut = []
    for axis, (count, mm) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True)):
        margin = round(AROUND_MM / mm)
        low, high = min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)
        cut.append(slice(max(0, low - margin), min(count, high + margin)))
    return cut


def _picture(subject: Subject, plane: Plane, cut: list[slice], number: int) -> Image.Image:
    grid = subject.segmentation.grid
    order = axis_order(grid)
    down, right = picture_axes(grid, order, plane)
    part = list(cut)
    part[order[plane.normal]] = slice(number, number + 1)
    image = subject.scan.anatomical[tuple(part)].squeeze(axis=order[plane.normal])
    labels = subject.segmentation.labels[tuple(part)].squeeze(axis=order[plane.normal])
    if down.axis > right.axis:
        image, labels = image.T, labels.T
    turned = slice(None, None, down.turn), slice(None, None, right.turn)
    spacing = grid.spacing_mm[down.axis], grid.spacing_mm[right.axis]
    item = Slice(labels=labels[turned], image=image[turned], spacing_mm=spacing, letters=("", "", "", ""), caption="")
    top = float(np.percentile(subject.scan.anatomical, BRIGHT_PERCENTILE))
    return draw_slice(item, HEIGHT_PX / (labels.shape[0] * spacing[0]), (0.0, top))

"""Padding of a scan: planes of one value at the faces of the image, such as the zeros that a registration adds.

Padding is no image. Networks normalise over their input, and a bone that ends at padding is cut by the field of view;
so the analysis leaves it out, and the volumes of the results have it again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import NO_PLANES, Box, Planes
from pipeline.types import Scan, Segmentation


def padding_of(scan: Scan) -> Planes:
    """The planes of padding at each face; none if the whole image has one value."""
    ranges = [_imaged(scan, axis) for axis in range(3)]
    if None in ranges:
        return NO_PLANES
    z, y, x = ((part.start, n - part.stop) for part, n in zip(ranges, scan.grid.shape, strict=True) if part is not None)
    return z, y, x


def _imaged(scan: Scan, axis: int) -> slice | None:
    """From the first to the last plane of an axis in which the values of an echo differ."""
    planes = np.moveaxis(scan.echoes, 1 + axis, 0)
    count = len(planes)
    start = next((k for k in range(count) if _differ(planes[k])), None)
    if start is None:
        return None
    return slice(start, next(k for k in range(count, 0, -1) if _differ(planes[k - 1])))


def _differ(plane: NDArray[np.float32]) -> bool:
    """Whether the values of an echo (e, a, b) differ."""
    return any(echo.min() < echo.max() for echo in plane)


def without_planes(scan: Scan, planes: Planes) -> Scan:
    """The scan without planes at its faces; the same object if there are none."""
    if planes == NO_PLANES:
        return scan
    box = _inside(planes, scan.grid.shape)
    return replace(scan, echoes=np.ascontiguousarray(scan.echoes[(slice(None), *box)]), grid=scan.grid.part(box))


def without_padding(segmentation: Segmentation, scan: Scan) -> Segmentation:
    """Outlines on the grid of a scan, without its padding; planes with labels in them stay."""
    planes = padding_of(scan)
    for box in segmentation.boxes.values():
        z, y, x = (
            (min(before, part.start), min(after, n - part.stop))
            for (before, after), part, n in zip(planes, box, scan.grid.shape, strict=True)
        )
        planes = z, y, x
    if planes == NO_PLANES:
        return segmentation
    box = _inside(planes, scan.grid.shape)
    labels = np.ascontiguousarray(segmentation.labels[box])
    return replace(segmentation, labels=labels, grid=segmentation.grid.part(box), padding=planes)


def planes_outside(box: Box, shape: tuple[int, int, int]) -> Planes:
    """The planes of an array of this shape that a box leaves out."""
    z, y, x = ((part.start, n - part.stop) for part, n in zip(box, shape, strict=True))
    return z, y, x


def added(outer: Planes, inner: Planes) -> Planes:
    """Planes left out of an array, and then planes left out of the rest."""
    z, y, x = ((a + c, b + d) for (a, b), (c, d) in zip(outer, inner, strict=True))
    return z, y, x


def _inside(planes: Planes, shape: tuple[int, int, int]) -> Box:
    z, y, x = (slice(before, n - after) for (before, after), n in zip(planes, shape, strict=True))
    return z, y, x

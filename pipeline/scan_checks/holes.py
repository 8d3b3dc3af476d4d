"""Places that a bone surrounds in a slice, also where a narrow channel leads out of them.

The search is per slice, because a hole in a slice of 4 mm may be open to the next one. A place that is open across
slices may be part of the intercondylar notch, and is no hole here (reference_inside.py finds such defects by their
depth in the bone).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

CHANNEL_MM: Final = 3.0
"""A hole may be open to the outside through a channel up to this wide: noise in dark marrow breaks outlines there."""

OPEN_SHARE: Final = 0.25
"""A place with more than this fraction of its area open to the outside in the neighbouring slices is no hole."""

STEP_MM: Final = 1.4
"""Thinner slices are skipped so that those searched are this far apart."""


def holes(bone: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """The holes of a bone in its slices (n, rows, columns), which are searched every STEP_MM.

    bone (n, rows, columns): slices first; spacing_mm of its axes. Other structures in a hole count as part of it.
    Channels themselves are no holes, and neither are gaps at the border of the image.
    """
    found = np.zeros_like(bone)
    step = max(1, round(STEP_MM / spacing_mm[0]))
    for number in range(0, len(bone), step):
        if bone[number].any():
            found[number] = _surrounded(bone[number], (spacing_mm[1], spacing_mm[2]))
    searched = found[::step]
    searched &= ~_open(searched, bone[::step])
    return found


def _surrounded(plane: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """Voxels of a slice that are not of the bone and that the bone surrounds, channels being closed."""
    radius = CHANNEL_MM / 2
    margin = [int(np.ceil(CHANNEL_MM / mm)) + 1 for mm in spacing_mm]
    bone = np.pad(plane, [(n, n) for n in margin])
    grown = ndimage.distance_transform_edt(~bone, spacing_mm) <= radius
    closed = (ndimage.distance_transform_edt(grown, spacing_mm) > radius) | bone
    filled = ndimage.binary_fill_holes(closed)
    found = (filled & ~closed) | (ndimage.binary_fill_holes(bone) & ~bone)
    if found.any():  # up to the bone: closing rounds off the corners of a hole
        near = ndimage.distance_transform_edt(~found, spacing_mm) <= radius
        found = ndimage.binary_propagation(found, mask=filled & ~bone & near)
    inner: Mask = found[tuple(slice(n, -n) for n in margin)]
    return inner


def _open(found: Mask, bone: Mask) -> Mask:
    """The parts of found that are no holes, because they are open to the neighbouring slices."""
    parts, count = ndimage.label(found)
    if not count:
        return found
    outside = ~bone & ~found
    faces = np.zeros(count + 1)
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        faces += np.bincount(parts[here][outside[there]], minlength=count + 1)
    largest = np.max([np.bincount(plane.reshape(-1), minlength=count + 1) for plane in parts], axis=0)
    leaves = faces > OPEN_SHARE * largest
    leaves[0] = False
    return np.asarray(leaves[parts], dtype=bool)

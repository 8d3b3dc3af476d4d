"""Which voxels count as a bone when its surface is built: cavities filled, crumbs left out.

Cartilage lies on the outer surface of a bone. A growth plate, a cyst, a drilled tunnel or a label map that outlines the
cortex alone puts walls inside the bone; a network leaves crumbs beside it. Neither is subchondral bone, so neither may
enter an area.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Box
from pipeline.types import Segmentation

CRUMB_SHARE: Final = 0.02
"""A separate piece with a smaller share of the bone's voxels is a crumb; a shaft beyond an open growth plate is not."""

GROWTH_PLATE_MM: Final = 6.0
"""Two pieces of one bone that face each other across less than this are joined: an open growth plate is 2 to 5 mm."""


def solid_bone(segmentation: Segmentation, structure: Structure) -> NDArray[np.bool_]:
    """(z, y, x) within the box of the structure: its voxels without crumbs, growth plates closed, cavities filled.

    A cavity that opens only through the border of the image, such as the inside of an outlined cortex, counts as
    enclosed. Raises KeyError where the structure is not in the segmentation.
    """
    box = segmentation.boxes[structure]
    bone: NDArray[np.bool_] = segmentation.labels[box] == structure
    pieces, count = ndimage.label(bone)
    if count > 1:
        size = np.bincount(pieces.reshape(-1))
        size[0] = 0
        large = size >= CRUMB_SHARE * size.sum()
        bone = large[pieces]
        free = segmentation.labels[box] == 0
        for one, other in combinations(np.flatnonzero(large), 2):
            bone |= free & _between(pieces == one, pieces == other, segmentation.grid.spacing_mm)
    return bone | _enclosed(bone, _cut_faces(box, segmentation.grid.shape))


def _between(
    one: NDArray[np.bool_], other: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """The gap between two pieces that face each other: their closing with a ball, where both are near."""
    reach = [2 * int(GROWTH_PLATE_MM / step) + 1 for step in spacing_mm]
    near = ndimage.maximum_filter(one, reach) & ndimage.maximum_filter(other, reach)
    gap = np.zeros_like(one)
    box = next(iter(ndimage.find_objects(near.astype(np.uint8))), None)
    if box is None:
        return gap
    pieces = one[box] | other[box]
    grown = ndimage.distance_transform_edt(~pieces, sampling=spacing_mm) <= GROWTH_PLATE_MM / 2
    closed = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > GROWTH_PLATE_MM / 2
    gap[box] = closed & near[box] & ~pieces
    return gap


def _cut_faces(box: Box, shape: tuple[int, int, int]) -> set[tuple[int, int]]:
    """(axis, edge) of the faces of a box that lie in the border of the image; edge is 0 or -1."""
    low = {(axis, 0) for axis in range(3) if box[axis].start == 0}
    return low | {(axis, -1) for axis in range(3) if box[axis].stop == shape[axis]}


def _enclosed(bone: NDArray[np.bool_], cut: set[tuple[int, int]]) -> NDArray[np.bool_]:
    """Background that no path through background connects with the outside."""
    parts, count = ndimage.label(~bone)
    outside = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        for edge in (0, -1):
            face = np.take(parts, edge, axis=axis)
            outside[np.unique(_open(face) if (axis, edge) in cut else face)] = True
    outside[0] = True  # the bone itself
    inside: NDArray[np.bool_] = ~outside[parts]
    return inside


def _open(face: NDArray[np.integer]) -> NDArray[np.integer]:
    """The background of a face that lies in the image's border, without the holes of the bone's cross-section."""
    holes, count = ndimage.label(face > 0)
    rim = np.zeros(count + 1, dtype=bool)
    for edge in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        rim[np.unique(edge)] = True
    found: NDArray[np.integer] = face[rim[holes]]
    return found

"""Anatomical planes, and how an array is turned into pictures of them in the radiological convention.

Sagittal: anterior left; coronal and axial: the patient's left on the right; superior or anterior on top. The
orientation comes from the directions of the grid, so it is correct for any storage order, handedness or obliquity.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from pipeline.grid import FloatArray, Grid

SECOND_LETTER: Final = 0.35
"""Direction cosine (21 degrees) from which an oblique edge gets a second letter, as in DICOM."""

LETTERS: Final = ("LR", "PA", "SI")
"""Positive and negative direction of each LPS axis."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A kind of slice: LPS axis of its normal, signed LPS axes (1 to 3) of the picture's right and down, number of
    slices.  order: 1 if slices are shown along the LPS axis (from the patient's right, from anterior), -1 in reverse.
    """

    title: str
    normal: int
    right: int
    down: int
    order: int
    slices: int


PLANES: Final = (
    Plane(title="Sagittal", normal=0, right=2, down=-3, order=1, slices=8),
    Plane(title="Coronal", normal=1, right=1, down=-3, order=1, slices=4),
    Plane(title="Axial", normal=2, right=1, down=2, order=-1, slices=4),
)


def axis_order(grid: Grid) -> tuple[int, int, int]:
    """The array axis closest to each of the LPS axes x, y, z (each array axis once)."""
    cosines = np.abs(grid.direction[:, ::-1])
    best = max(permutations(range(3)), key=lambda order: sum(cosines[lps, axis] for lps, axis in enumerate(order)))
    return best[0], best[1], best[2]


def slice_plane(grid: Grid) -> str:
    """The anatomical plane closest to the slices: across the axis with the largest spacing, or z if equal."""
    across = int(np.argmax(np.round(grid.spacing_mm, 3)))  # 0 is z
    normal = int(np.abs(grid.direction[:, 2 - across]).argmax())
    return next(plane.title.lower() for plane in PLANES if plane.normal == normal)


def edge_letters(direction: FloatArray) -> str:
    """The letter of an LPS direction, and a second one if it is clearly oblique."""
    ranked = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    chosen = [ranked[0]] + [axis for axis in ranked[1:2] if abs(direction[axis]) > SECOND_LETTER]
    return "".join(LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in chosen)


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureAxis:
    """An array axis as rows or columns of a picture: turn is -1 if it is reversed; direction (3,) LPS."""

    axis: int
    turn: int
    direction: FloatArray


def picture_axes(grid: Grid, order: tuple[int, int, int], plane: Plane) -> tuple[PictureAxis, PictureAxis]:
    """The array axes along rows and columns of a plane's picture. `order` is axis_order(grid)."""
    found = []
    for signed in (plane.down, plane.right):
        axis = order[abs(signed) - 1]
        direction = grid.direction[:, 2 - axis]
        turn = 1 if direction[abs(signed) - 1] * signed > 0 else -1
        found.append(PictureAxis(axis=axis, turn=turn, direction=direction * turn))
    return found[0], found[1]

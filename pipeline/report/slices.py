"""Selects slices of a knee, crops them and orients them in the radiological convention (pipeline/planes.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import CARTILAGE_OF, Compartment, Side
from pipeline.grid import Box, Grid
from pipeline.planes import PLANES, Plane, axis_order, edge_letters, picture_axes
from pipeline.report.measured_knee import Shown
from pipeline.types import LabelArray, Scan

AROUND_JOINT_MM: Final = 14.0
"""Margin around the cartilage on every side."""

ENDS: Final = 0.06
"""Distance of the first and last slice from the ends of the joint, as a fraction of its extent."""

NEAR_MIDDLE: Final = 0.12
"""Fraction of the joint's extent on each side of its centre that is labelled neither medial nor lateral."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """One slice prepared for drawing: labels and image (rows, columns), mm per row and column, edge letters."""

    labels: LabelArray
    image: NDArray[np.float32] | None
    spacing_mm: tuple[float, float]
    letters: tuple[str, str, str, str]
    caption: str


def slices(knee: Shown, like: Shown | None = None) -> Iterator[Slice]:
    """All slices of the sheet, per plane, evenly spaced through the joint.

    like: other outlines on the same grid, whose slices are shown
    """
    grid, labels = knee.segmentation.grid, knee.segmentation.labels
    bounds = _bounds(like or knee)
    order = axis_order(grid)
    image = None if knee.scan is None else knee.scan.anatomical
    aligned = knee.scan is not None and knee.scan.grid.matches(grid)
    for plane in PLANES:
        axis = order[plane.normal]
        backwards = grid.direction[plane.normal, 2 - axis] * plane.order < 0
        for part, index in _positions(plane, bounds[axis], grid.spacing_mm[axis], backwards):
            view = _view(grid, order, plane, bounds, index)
            flat = None
            if image is not None and knee.scan is not None:
                flat = view.take(image) if aligned else _sample(knee.scan, image, grid, view)
            yield Slice(
                labels=view.take(labels),
                image=flat,
                spacing_mm=view.spacing_mm,
                letters=view.letters,
                caption=f"{plane.title} {index + 1}/{grid.shape[axis]}" + _compartment(knee, plane, part),
            )


def _compartment(knee: Shown, plane: Plane, part: float) -> str:
    """The compartment of a sagittal slice; empty near the centre."""
    if plane.normal != 0 or abs(part - 0.5) < NEAR_MIDDLE:
        return ""
    compartment = Compartment.MEDIAL if (part > 0.5) == (knee.alignment.side is Side.RIGHT) else Compartment.LATERAL
    return f" {compartment}"


def _positions(
    plane: Plane, bounds: NDArray[np.int64], spacing_mm: float, backwards: bool
) -> Iterator[tuple[float, int]]:
    """Relative position in the joint (0 to 1) and array index of each slice of a plane, in display order.

    Counted from the end shown first, so that rounding does not depend on the storage order of the voxels.
    """
    n = int(bounds[1] - bounds[0])
    margin = min(AROUND_JOINT_MM / spacing_mm, n / 4)
    for part in np.linspace(ENDS, 1 - ENDS, plane.slices):
        place = round(margin + part * (n - 1 - 2 * margin))
        yield float(part), int(bounds[1]) - 1 - place if backwards else int(bounds[0]) + place


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """How a slice is extracted from an array: `cut` selects, then the axes are swapped and reversed."""

    cut: Box
    normal: int
    swap: bool
    flips: tuple[int, int]
    spacing_mm: tuple[float, float]
    letters: tuple[str, str, str, str]

    def take(self, array: NDArray[Any]) -> NDArray[Any]:
        """(rows, columns) of the picture."""
        flat = array[self.cut].squeeze(axis=self.normal)
        return (flat.T if self.swap else flat)[:: self.flips[0], :: self.flips[1]]


def _view(grid: Grid, order: tuple[int, int, int], plane: Plane, bounds: NDArray[np.int64], index: int) -> _View:
    down, right = picture_axes(grid, order, plane)
    cut = [slice(int(low), int(high)) for low, high in bounds]
    normal = order[plane.normal]
    cut[normal] = slice(index, index + 1)
    return _View(
        cut=(cut[0], cut[1], cut[2]),
        normal=normal,
        swap=down.axis > right.axis,
        flips=(down.turn, right.turn),
        spacing_mm=(grid.spacing_mm[down.axis], grid.spacing_mm[right.axis]),
        letters=(
            edge_letters(-down.direction),
            edge_letters(right.direction),
            edge_letters(down.direction),
            edge_letters(-right.direction),
        ),
    )


def _sample(scan: Scan, image: NDArray[np.float32], grid: Grid, view: _View) -> NDArray[np.float32]:
    """The scan at the voxels of a slice of another grid, linearly interpolated."""
    index = np.meshgrid(*[np.arange(part.start, part.stop) for part in view.cut], indexing="ij")
    shape = index[0].shape
    at = scan.grid.to_index(grid.to_mm(np.stack([axis.reshape(-1) for axis in index], axis=1)))
    values = ndimage.map_coordinates(image, at.T, order=1, mode="constant", cval=0.0).reshape(shape)
    flat = values.squeeze(axis=view.normal)
    turned: NDArray[np.float32] = (flat.T if view.swap else flat)[:: view.flips[0], :: view.flips[1]]
    return turned


def _bounds(knee: Shown) -> NDArray[np.int64]:
    """(3, 2): first and one past the last index to show along each array axis: the cartilage plus margin."""
    segmentation = knee.segmentation
    plates = [plate for group in CARTILAGE_OF.values() for plate in group]
    shown = segmentation.mask(*plates)
    if not shown.any():
        shown = segmentation.labels > 0
    rows = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        used = np.flatnonzero(shown.any(axis=others))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, segmentation.grid.shape[axis])
        margin = round(AROUND_JOINT_MM / segmentation.grid.spacing_mm[axis])
        rows.append((max(low - margin, 0), min(high + margin, segmentation.grid.shape[axis])))
    return np.array(rows, dtype=np.int64)

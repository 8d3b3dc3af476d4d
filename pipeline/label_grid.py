"""Placement of a label map on the grid of its scan: without a loss, or resampled with nearest neighbour on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnsupportedImage
from pipeline.grid import NO_PLANES, FloatArray, Grid
from pipeline.types import LabelMap

TOLERANCE_MM: Final = 0.1
"""Maximum distance between voxel centres of label map and scan that is attributed to rounding."""

_PARALLEL: Final = 0.999
"""Minimum cosine between an axis of the label map and one of the scan for the same axis, stored in another order."""


LEAST_INSIDE: Final = 0.98
"""Minimum fraction of the labelled volume that a resampled label map must keep."""

RESAMPLE_HINT: Final = (
    "Resample it onto the scan with nearest neighbour (option resample_labels, --resample-labels), or measure the "
    "label map without the scan."
)

MARGIN: Final = 10
"""Maximum number of slices added on each side where the file left out background."""


def with_margin(label_map: LabelMap) -> LabelMap:
    """With the background that the file left out around its segments, up to MARGIN slices on each side.

    Without it, structures at the border of the file look as if the field of view had cut them.
    """
    before, after = (tuple(min(MARGIN, pair[k]) for pair in label_map.left_out) for k in (0, 1))
    if not any(before) and not any(after):
        return label_map
    labels = np.pad(label_map.labels, list(zip(before, after, strict=True)))
    start = _triple(-n for n in before)
    grid = label_map.grid.crop(start, _triple(n + m for n, m in zip(label_map.grid.shape, after, strict=True)))
    warning = "The file is cropped to its segments; the space around them was taken for background."
    return replace(label_map, labels=labels, grid=grid, left_out=NO_PLANES, warnings=(*label_map.warnings, warning))


def on_grid(label_map: LabelMap, grid: Grid, *, resample: bool = False) -> LabelMap:
    """The label map on the grid of its scan.

    Axes in another order or direction are reordered. A map of a part of the scan is placed by its position in mm, with
    a warning; labels outside the scan must be 0.
    resample: use the nearest voxel where voxel centres do not coincide, with a warning
    Raises UnsupportedImage, with the difference in mm, if voxel centres do not coincide; with `resample`, if labels are
    outside the scan.
    """
    try:
        return _coinciding(label_map, grid)
    except UnsupportedImage as error:
        if not resample:
            raise
        return _resampled(label_map, grid, error.message)


def _coinciding(label_map: LabelMap, grid: Grid) -> LabelMap:
    """On the grid of the scan without a loss. Raises UnsupportedImage if voxel centres do not coincide."""
    if label_map.grid.matches(grid, tolerance_mm=TOLERANCE_MM):
        return replace(label_map, grid=grid)
    found = _reordered(label_map, grid)
    if found is None:
        raise _other_grid(label_map.grid, grid, "its axes have other directions")
    start = np.rint(grid.to_index([found.grid.origin_mm])[0]).astype(int)
    low, high = (int(v) for v in start), (int(s + n) for s, n in zip(start, found.grid.shape, strict=True))
    place = grid.crop(_triple(low), _triple(high))
    if not found.grid.matches(place, tolerance_mm=TOLERANCE_MM):
        raise _other_grid(found.grid, grid, _offset(found.grid, grid))
    if found.grid.shape == grid.shape and not start.any():
        return replace(found, grid=grid)
    labels, lost = _placed(found.labels, start, grid.shape)
    if lost:
        raise _other_grid(found.grid, grid, f"{lost:,} of its labelled voxels are outside the scan")
    covered = int(np.prod([max(0, n) for n in found.grid.shape])) / int(np.prod(grid.shape))
    warning = (
        f"The label map covers {min(covered, 1.0):.0%} of the scan; it was placed by its position in mm, and the rest "
        "was taken for background."
    )
    return replace(found, labels=labels, grid=grid, warnings=(*found.warnings, warning))


def _resampled(label_map: LabelMap, grid: Grid, why: str) -> LabelMap:
    """The label of the nearest voxel at every voxel centre of the scan. Raises UnsupportedImage if labels are lost."""
    from scipy import ndimage  # not needed by web processes, which read facts of label maps

    to = np.linalg.inv(label_map.grid.affine) @ grid.affine
    labels = ndimage.affine_transform(
        label_map.labels, to[:3, :3], to[:3, 3], output_shape=grid.shape, order=0, mode="grid-constant"
    )
    before, after = (
        np.count_nonzero(values) * float(np.prod(stored.spacing_mm))
        for values, stored in ((label_map.labels, label_map.grid), (labels, grid))
    )
    if after < LEAST_INSIDE * before:
        raise UnsupportedImage(
            f"{1 - after / before:.0%} of the labelled volume is outside the scan; expected a label map of this scan.",
            hint="Check that scan and label map belong together, or measure the label map without the scan.",
        )
    warning = f"The label map was resampled with nearest neighbour. {why}"
    return replace(label_map, labels=labels, grid=grid, warnings=(*label_map.warnings, warning))


def _triple(values: Iterable[int]) -> tuple[int, int, int]:
    z, y, x = values
    return z, y, x


def _reordered(label_map: LabelMap, grid: Grid) -> LabelMap | None:
    """With the axes in the order and direction of the scan's; None if they are not parallel."""
    cosines: FloatArray = grid.direction[:, ::-1].T @ label_map.grid.direction[:, ::-1]  # [axis of scan, axis of map]
    order = np.abs(cosines).argmax(axis=1)
    along = cosines[np.arange(3), order]
    if sorted(order.tolist()) != [0, 1, 2] or np.abs(along).min() < _PARALLEL:
        return None
    if order.tolist() == [0, 1, 2] and (along > 0).all():
        return label_map
    labels = np.transpose(label_map.labels, order)
    first = np.zeros(3)
    flipped = []
    for axis in range(3):
        if along[axis] < 0:
            flipped.append(axis)
            first[order[axis]] = label_map.grid.shape[order[axis]] - 1
    stored = label_map.grid
    columns = stored.direction[:, ::-1][:, order] * np.sign(along)
    turned = Grid(
        shape=_triple(labels.shape),
        spacing_mm=_spacing(stored, order),
        origin_mm=stored.to_mm([first])[0],
        direction=columns[:, ::-1],
    )
    return replace(label_map, labels=np.ascontiguousarray(np.flip(labels, tuple(flipped))), grid=turned)


def _spacing(grid: Grid, order: NDArray[np.intp]) -> tuple[float, float, float]:
    z, y, x = (grid.spacing_mm[axis] for axis in order)
    return z, y, x


def _placed(
    labels: NDArray[np.uint16], start: NDArray[np.int_], shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint16], int]:
    """The labels in an image of `shape`, voxel 0 at `start`; and the number of labelled voxels outside it."""
    whole = np.zeros(shape, dtype=np.uint16)
    here, there = [], []
    for first, size, limit in zip(start.tolist(), labels.shape, shape, strict=True):
        low, high = max(first, 0), min(first + size, limit)
        here.append(slice(low, max(high, low)))
        there.append(slice(low - first, max(high, low) - first))
    part = labels[tuple(there)]
    whole[tuple(here)] = part
    return whole, int(np.count_nonzero(labels)) - int(np.count_nonzero(part))


def _offset(found: Grid, grid: Grid) -> str:
    """How far the centres of the two images are apart, along the axes of the scan."""
    centres = [g.to_mm([(np.array(g.shape) - 1) / 2])[0] for g in (found, grid)]
    apart = grid.direction.T @ (centres[0] - centres[1])
    largest = [f"{abs(d):.2f} mm along {axis}" for d, axis in zip(apart, "xyz", strict=True) if abs(d) >= 0.005]
    return f"its centre is {', '.join(largest)} off that of the scan" if largest else "voxel sizes differ"


def _other_grid(found: Grid, grid: Grid, why: str) -> UnsupportedImage:
    return UnsupportedImage(
        f"Label map and scan do not have the same grid: {why}. Label map {_geometry(found)}, "
        f"scan {_geometry(grid)} (z, y, x); expected the same voxel centres within {TOLERANCE_MM} mm.",
        hint=RESAMPLE_HINT,
    )


def _geometry(grid: Grid) -> str:
    size = " x ".join(str(n) for n in grid.shape)
    return f"{size} voxels of {' x '.join(f'{s:.4g}' for s in grid.spacing_mm)} mm"

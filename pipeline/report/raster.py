"""A depth-buffered triangle rasteriser in numpy: renders surfaces without OpenGL. Visibility is computed first (the
closest triangle at each pixel, and the position in it), shading afterwards, so that the cost of shading does not depend
on the mesh. Pixel [row, column] has its centre at (column + 0.5, row + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pipeline.grid import FloatArray

FRAGMENTS_AT_ONCE: Final = 2_000_000
"""Candidate pixels in one pass; about 150 MB of working memory."""

DEPTH_LEVELS: Final = 2**30
"""Number of depth levels: steps below 1e-6 mm over a knee."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Visible:
    """The visible parts of a view.

    pixels  (k,) flat indices of the covered pixels
    faces   (k,) the visible triangle of each
    weights (k, 3) its barycentric coordinates there
    """

    pixels: NDArray[np.int64]
    faces: NDArray[np.int64]
    weights: FloatArray


def rasterise(points_px: FloatArray, depth: FloatArray, faces: NDArray[np.int64], shape: tuple[int, int]) -> Visible:
    """The closest front face at every pixel.  points_px (n, 2) as (column, row); depth (n,) increases towards the
    viewer; faces (m, 3), counter-clockwise if rows are counted upwards (outward faces of a closed surface); shape
    (rows, columns).
    """
    corners = points_px[faces]
    # rows increase downwards, so a front face has a negative area
    front = np.flatnonzero(_cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) < 0)
    corners = corners[front]
    low = np.maximum(np.ceil(corners.min(axis=1) - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(corners.max(axis=1) - 0.5), np.array(shape[::-1]) - 1).astype(np.int64)
    size = np.maximum(high - low + 1, 0)
    planes = _planes(corners, low, _levels(depth)[faces[front]])
    buffer = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    first = low[:, 1] * shape[1] + low[:, 0]
    for start, stop in _batches(size[:, 0] * size[:, 1]):
        chosen = slice(start, stop)
        _fill(buffer, shape[1], start, planes[:, chosen], first[chosen], size[chosen])
    pixels = np.flatnonzero(buffer >= 0)
    seen = front[buffer[pixels] & 0xFFFFFFFF]
    return Visible(pixels=pixels, faces=seen, weights=_weights(points_px[faces[seen]], _centres(pixels, shape[1])))


def _levels(depth: FloatArray) -> FloatArray:
    span = float(np.ptp(depth)) or 1.0
    return np.asarray((depth - depth.min()) / span * DEPTH_LEVELS)


def _batches(count: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Ranges of triangles with at most FRAGMENTS_AT_ONCE candidate pixels (or one triangle)."""
    ends = np.cumsum(count)
    ranges, start = [], 0
    while start < len(count):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + FRAGMENTS_AT_ONCE, side="right")), start + 1)
        ranges.append((start, stop))
        start = stop
    return ranges


def _planes(corners: FloatArray, low: NDArray[np.int64], level: FloatArray) -> FloatArray:
    """(9, m): second and third barycentric coordinate and depth level of m triangles as planes.

    Each plane is given by its value at the centre of the pixel `low` (column, row), its step per column and its step
    per row.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    whole = _cross(b - a, c - a)
    at = low + 0.5 - a
    second = np.stack([_cross(at, c - a), (c - a)[:, 1], -(c - a)[:, 0]]) / whole
    third = np.stack([_cross(b - a, at), -(b - a)[:, 1], (b - a)[:, 0]]) / whole
    depth = second * (level[:, 1] - level[:, 0]) + third * (level[:, 2] - level[:, 0])
    depth[0] += level[:, 0]
    return np.concatenate([second, third, depth])


def _fill(
    buffer: NDArray[np.int64],
    width: int,
    offset: int,
    planes: FloatArray,
    first: NDArray[np.int64],
    size: NDArray[np.int64],
) -> None:
    """Write candidate pixels of triangles to the buffer: depth in the high bits, triangle number in the low 32.


    offset: number of the first of these triangles; planes (9, m); first (m,) flat index of the pixel at the upper
    left of each triangle's bounding box; size (m, 2) columns and rows of that box.
    """
    count = size[:, 0] * size[:, 1]
    owner = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    row = within // size[owner, 0]
    column = within - row * size[owner, 0]
    second, third = (planes[k][owner] + planes[k + 1][owner] * column + planes[k + 2][owner] * row for k in (0, 3))
    inside = np.flatnonzero((second >= 0) & (third >= 0) & (second + third <= 1))
    owner, row, column = owner[inside], row[inside], column[inside]
    level = planes[6][owner] + planes[7][owner] * column + planes[8][owner] * row
    key = (np.maximum(level, 0).astype(np.int64) << 32) | (owner + offset)
    np.maximum.at(buffer, first[owner] + row * width + column, key)


def _centres(pixel: NDArray[np.int64], width: int) -> FloatArray:
    row, column = np.divmod(pixel, width)
    return np.stack([column + 0.5, row + 0.5], axis=1)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _weights(corners: FloatArray, at: FloatArray) -> FloatArray:
    """Barycentric coordinates (k, 3) of points (k, 2) in triangles (k, 3, 2)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    whole = _cross(b - a, c - a)
    whole = np.where(whole == 0, 1.0, whole)
    second = _cross(at - a, c - a) / whole
    third = _cross(b - a, at - a) / whole
    return np.stack([1.0 - second - third, second, third], axis=1)


def occlusion(depth_mm: NDArray[np.float32], radius_px: float, reach_mm: float) -> NDArray[np.float32]:
    """0 (open) to 1 (in a hollow) for every pixel (rows, columns): its depth relative to its surroundings.

    depth_mm is NaN without a surface. The depth buffer is subtracted from its own blur (unsharp masking of the depth
    buffer, Luft et al. 2006); `reach_mm` behind the surroundings is fully occluded. The blur is computed at 1/4 of the
    resolution, which looks the same at 1/16 of the cost.
    """
    coarse = depth_mm[::4, ::4]
    covered = np.isfinite(coarse)
    weight = ndimage.gaussian_filter(covered.astype(np.float32), radius_px / 4, truncate=2.5)
    blurred = ndimage.gaussian_filter(np.where(covered, coarse, 0.0), radius_px / 4, truncate=2.5)
    surroundings = Image.fromarray((blurred / np.maximum(weight, 1e-3)).astype(np.float32))
    smooth = np.asarray(surroundings.resize(depth_mm.shape[::-1], Image.Resampling.BILINEAR))
    hidden: NDArray[np.float32] = np.nan_to_num(np.clip((smooth - depth_mm) / reach_mm, 0.0, 1.0))
    return hidden

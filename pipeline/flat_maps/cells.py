"""Values on a surface, spread over the cells of a flat map so that their integrals stay those of the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.flat_maps.frame import DEGREES, Frame
from pipeline.grid import FloatArray
from pipeline.types import Surface

ACROSS_MM: Final = 0.5
UP: Final = {DEGREES: 1.0, "mm": 0.5}
"""Size of a cell: mm across; degrees or mm upwards."""

HALF_WIDTH_MM: Final = 60.0
HALF_HEIGHT: Final = {DEGREES: 180.0, "mm": 45.0}
"""Every map reaches this far to either side of its origin, so that maps of all knees have the same cells."""

FINEST: Final = 12
"""A triangle is sampled at up to FINEST * FINEST points."""

LEAST_MM2: Final = 1e-9
"""Cells with less bone are empty: differences of rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The bone in each cell of a map.

    across (c,) mm and up (r,) in degrees or mm: centres of the columns and rows, ascending
    area_mm2 (r, c): true area of the plate in each cell, 0 outside
    vertex (r, c) int32: the vertex of the plate that is nearest to the centre of the cell, -1 outside
    outside_mm2: area of the plate beyond the map
    samples: for means of values; left out of a FlatMap, which has them
    """

    across: FloatArray
    up: FloatArray
    area_mm2: FloatArray
    vertex: NDArray[np.int32]
    outside_mm2: float
    samples: Samples | None

    def mean_of(self, values: FloatArray) -> FloatArray:
        """(r, c): mean of (n,) values at the surface's vertices, weighted by area; NaN where there are none.

        NaN at vertices are left out.
        """
        samples, known = self.samples, np.isfinite(values)
        if samples is None:
            raise ValueError("these cells have no samples; expected those of cells_of")
        everywhere = bool(known[samples.plate].all())
        area = self.area_mm2 if everywhere else samples.summed(known.astype(np.float64))[0]
        total = samples.summed(np.where(known, values, 0.0))[0]
        mean: FloatArray = np.full(area.shape, np.nan)
        np.divide(total, area, out=mean, where=area > LEAST_MM2)
        return mean


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Points (s,) of the triangles of a plate (n,), each shared by the four nearest cells of a map (r, c).

    corners (s, 3): vertices of its triangle; areas_mm2 (s, 3): area that each of them has there
    cell (4, s): number of the cell, in a map with a border of one cell; share (4, s): part of the area in it
    """

    plate: NDArray[np.bool_]
    shape: tuple[int, int]
    corners: NDArray[np.int64]
    areas_mm2: FloatArray
    cell: NDArray[np.int64]
    share: FloatArray

    def summed(self, values: FloatArray) -> tuple[FloatArray, float]:
        """((r, c) sum of area * value, the same outside the map), for values (n,) at the vertices."""
        mass = np.einsum("ij,ij->i", self.areas_mm2, values[self.corners])
        rows, columns = self.shape[0] + 2, self.shape[1] + 2
        total = np.bincount(self.cell.reshape(-1), weights=(self.share * mass).reshape(-1), minlength=rows * columns)
        inner: FloatArray = total.reshape(rows, columns)[1:-1, 1:-1].astype(np.float64)
        return inner, float(total.sum() - inner.sum())


def centres(frame: Frame) -> tuple[FloatArray, FloatArray]:
    """(across, up): centres of the columns and rows of every map of a bone."""
    columns = np.arange(-HALF_WIDTH_MM + ACROSS_MM / 2, HALF_WIDTH_MM, ACROSS_MM)
    height, step = HALF_HEIGHT[frame.unit], UP[frame.unit]
    return columns, np.arange(-height + step / 2, height, step)


def cells_of(surface: Surface, plate: NDArray[np.bool_], places: FloatArray, frame: Frame) -> Cells:
    """Spread a plate over the cells of its map.

    plate (n,) bool: its vertices; places (n, 2): Frame.coordinates of all vertices. The area that a vertex represents
    (Surface.vertex_areas_mm2) is distributed over the triangles around it in proportion to their area, and in each of
    them decreases linearly to 0 at the opposite edge. So the sum over all cells is that over the plate's vertices, and
    values between vertices are interpolated linearly.
    """
    across, up = centres(frame)
    samples = _sampled(surface, plate, places, (across, up), len(up) if frame.unit == DEGREES else 0)
    area, outside = samples.summed(np.ones(len(plate)))
    area[area < LEAST_MM2] = 0.0
    return Cells(
        across=across,
        up=up,
        area_mm2=area,
        vertex=_nearest(area > 0, np.flatnonzero(plate), places, (across, up), frame.mm_per_unit),
        outside_mm2=outside if outside > LEAST_MM2 else 0.0,
        samples=samples,
    )


def _sampled(
    surface: Surface, plate: NDArray[np.bool_], places: FloatArray, axes: tuple[FloatArray, FloatArray], turn: int
) -> Samples:
    """turn: rows of a full turn, after which rows repeat; 0: they do not."""
    faces = surface.faces[plate[surface.faces].any(axis=1)]
    points = surface.points_mm[faces]
    double = np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1) + 1e-12
    around = np.bincount(faces.reshape(-1), weights=np.repeat(double, 3), minlength=len(plate))
    per_area = np.where(plate, surface.vertex_areas_mm2, 0.0) / np.maximum(around, 1e-12)
    column, row = ((places[faces, k] - axis[0]) / (axis[1] - axis[0]) for k, axis in enumerate(axes))
    if turn:
        row -= turn * np.rint((row - row[:, :1]) / turn)
    longest = np.maximum(np.ptp(column, axis=1), np.ptp(row, axis=1))
    count = np.clip(np.ceil(longest), 1, FINEST).astype(np.int64)
    parts = []
    for n in np.unique(count):
        rows, inside = np.flatnonzero(count == n), _centroids(int(n))
        areas = (per_area[faces[rows]] * double[rows, None])[:, None] * (inside * 3.0 / len(inside))
        corners = np.repeat(faces[rows], len(inside), axis=0)
        place = (column[rows] @ inside.T).reshape(-1), (row[rows] @ inside.T).reshape(-1)
        parts.append((corners, areas.reshape(-1, 3), *place))
    corners, areas, column, row = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    shape = len(axes[1]), len(axes[0])
    cell, share = _cells_around(column, row, shape, turn)
    return Samples(plate=plate, shape=shape, corners=corners, areas_mm2=areas, cell=cell, share=share)


def _cells_around(
    column: FloatArray, row: FloatArray, shape: tuple[int, int], turn: int
) -> tuple[NDArray[np.int64], FloatArray]:
    """(4, s) numbers and (4, s) shares of the four cells around points (s,), in units of cells: bilinear."""
    left, below = np.floor(column), np.floor(row)
    right, above = column - left, row - below
    cells, shares = [], []
    for down, height in ((0, 1 - above), (1, above)):
        at_row = (below + down) % turn if turn else np.clip(below + down, -1, shape[0])
        for across, width in ((0, 1 - right), (1, right)):
            at_column = np.clip(left + across, -1, shape[1])
            cells.append((at_row + 1) * (shape[1] + 2) + at_column + 1)
            shares.append(height * width)
    return np.stack(cells).astype(np.int64), np.stack(shares)


def _centroids(n: int) -> FloatArray:
    """(n * n, 3): barycentric coordinates of the centroids of a triangle divided n times along each edge."""
    upright = [(i + 1 / 3, j + 1 / 3) for i in range(n) for j in range(n - i)]
    turned = [(i + 2 / 3, j + 2 / 3) for i in range(n - 1) for j in range(n - 1 - i)]
    second, third = np.array(upright + turned).T / n
    return np.stack([1 - second - third, second, third], axis=1)


def _nearest(
    filled: NDArray[np.bool_],
    vertices: NDArray[np.int64],
    places: FloatArray,
    axes: tuple[FloatArray, FloatArray],
    mm_per_unit: float,
) -> NDArray[np.int32]:
    """(r, c): the nearest of the vertices to the centre of each filled cell, measured along the unrolled surface."""
    found = np.full(filled.shape, -1, dtype=np.int32)
    rows, columns = np.nonzero(filled)
    if len(rows):
        scale = np.array([1.0, mm_per_unit])
        tree = cKDTree(places[vertices] * scale, balanced_tree=False, compact_nodes=False)
        centre = np.stack([axes[0][columns], axes[1][rows]], axis=1)
        found[rows, columns] = vertices[tree.query(centre * scale)[1]]
    return found

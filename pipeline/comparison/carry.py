"""Transfers values from one triangulated surface to points of another, at the closest point of the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import FloatArray
from pipeline.registration import FACING, Target
from pipeline.types import ThicknessMap

MOST_MM: Final = 2.0
"""Points further from the other bone than this are not compared."""

INSIDE: Final = 0.5
"""Minimum sum of the barycentric weights of corners inside the plate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """The closest points of a surface, for n points: corners (n, 3) its triangle's vertices, shares (n, 3) its
    barycentric coordinates, distance_mm (n,).
    """

    corners: NDArray[np.int64]
    shares: FloatArray
    distance_mm: FloatArray


def nearest_on(points: FloatArray, target: Target) -> Nearest:
    """The closest point in the triangles around the closest vertex."""
    surface = target.surface
    _, vertex = target.tree.query(points)
    order, first, count = _faces_around(surface.faces, len(surface.points_mm))
    best = np.full(len(points), np.inf)
    corners = np.repeat(vertex[:, None], 3, axis=1)
    shares = np.tile([1.0, 0.0, 0.0], (len(points), 1))
    for k in range(int(count[vertex].max(initial=0))):
        rows = np.flatnonzero(count[vertex] > k)
        faces = surface.faces[order[first[vertex[rows]] + k]]
        found, squared = _in_triangle(points[rows], surface.points_mm[faces])
        nearer = squared < best[rows]
        kept = rows[nearer]
        best[kept], corners[kept], shares[kept] = squared[nearer], faces[nearer], found[nearer]
    alone = np.isinf(best)
    best[alone] = np.square(points[alone] - surface.points_mm[vertex[alone]]).sum(axis=1)
    return Nearest(corners=corners, shares=shares, distance_mm=np.sqrt(best))


def carry_thickness(points: FloatArray, normals: FloatArray, other: ThicknessMap) -> FloatArray:
    """(n,) thickness of the other, registered bone in mm at points (n, 3) with outward normals (n, 3).

    NaN: the other bone is too distant, has another orientation, or has no plate there.
    """
    near = nearest_on(points, Target(surface=other.surface))
    there = np.einsum("nk,nkj->nj", near.shares, other.surface.normals[near.corners])
    there /= np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-12)
    same = (near.distance_mm <= MOST_MM) & (np.einsum("ij,ij->i", normals, there) > FACING)
    values = other.thickness_mm[near.corners]
    weights = np.where(np.isfinite(values), near.shares, 0.0)
    inside = weights.sum(axis=1)
    thickness: FloatArray = np.full(len(points), np.nan)
    use = same & (inside >= INSIDE)
    thickness[use] = (weights * np.nan_to_num(values)).sum(axis=1)[use] / inside[use]
    return thickness


def _faces_around(faces: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Faces ordered by vertex: those of vertex v are order[first[v] : first[v] + count[v]]."""
    corner = faces.reshape(-1)
    count = np.bincount(corner, minlength=n)
    return np.argsort(corner, kind="stable") // 3, np.concatenate([[0], np.cumsum(count)[:-1]]), count


def _in_triangle(points: FloatArray, corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Barycentric coordinates (n, 3) and squared distance (n,) of the closest point in triangles (n, 3, 3)."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ap = points - a
    d11, d12, d22 = (np.einsum("ij,ij->i", x, y) for x, y in ((ab, ab), (ab, ac), (ac, ac)))
    e1, e2 = np.einsum("ij,ij->i", ap, ab), np.einsum("ij,ij->i", ap, ac)
    area = np.maximum(d11 * d22 - d12**2, 1e-18)
    v, w = (d22 * e1 - d12 * e2) / area, (d11 * e2 - d12 * e1) / area
    shares = np.stack([1 - v - w, v, w], axis=1)
    outside = (shares < 0).any(axis=1)
    squared = np.square(ap - v[:, None] * ab - w[:, None] * ac).sum(axis=1)
    squared[outside] = np.inf
    for start, end in ((0, 1), (1, 2), (2, 0)):
        edge = corners[outside, end] - corners[outside, start]
        way = points[outside] - corners[outside, start]
        length = np.maximum(np.einsum("ij,ij->i", edge, edge), 1e-18)
        t = np.clip(np.einsum("ij,ij->i", way, edge) / length, 0.0, 1.0)
        there = np.square(way - t[:, None] * edge).sum(axis=1)
        nearer = there < squared[outside]
        rows = np.flatnonzero(outside)[nearer]
        squared[rows] = there[nearer]
        shares[rows] = 0.0
        shares[rows, start], shares[rows, end] = 1 - t[nearer], t[nearer]
    return shares, squared

"""Joint space: the distance from the tibial plates to the femur, bone to bone.

It is that of a knee lying in a scanner, without load, and in three dimensions. The joint space width of a radiograph
is measured standing, in projection.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.anatomy import TIBIA_LATERAL, TIBIA_MEDIAL, Compartment, Region
from pipeline.grid import FloatArray
from pipeline.parts import COMPUTED, Parts
from pipeline.plateau import MEDIAL, POSTERIOR, Plateau, in_plate
from pipeline.quantities import (
    JOINT_SPACE,
    JOINT_SPACE_AP,
    JOINT_SPACE_ML,
    JOINT_SPACE_NARROW,
    Method,
    Quantity,
    Statistic,
)
from pipeline.types import Measurement, Surface, ThicknessMap

NARROW_MM: Final = 2.5
"""Upper limit of a narrow joint space."""

COMPARTMENTS: Final = (TIBIA_MEDIAL, TIBIA_LATERAL)


def joint_space(femur: Surface, tibia: ThicknessMap) -> FloatArray:
    """(n,) mm: distance of each vertex of the tibial plates to the nearest point of the femur's surface.

    NaN outside the plates. It is the distance to the triangles around the nearest vertex. On the sample knee, the
    distance to the whole surface is at most 0.01 mm shorter.
    """
    distance = np.full(len(tibia.region), np.nan)
    inside = tibia.in_plate
    if inside.any():
        points = tibia.surface.points_mm[inside]
        away, nearest = cKDTree(femur.points_mm, balanced_tree=False, compact_nodes=False).query(points)
        distance[inside] = np.minimum(away, _to_triangles_around(nearest, points, femur))
    return distance


def _to_triangles_around(vertices: NDArray[np.int64], points: FloatArray, surface: Surface) -> FloatArray:
    """(n,) mm: distance of each point to the triangles that share a vertex, one vertex per point."""
    corner = surface.faces.reshape(-1)
    order = np.flatnonzero(np.bincount(vertices, minlength=len(surface.points_mm))[corner])
    order = order[np.argsort(corner[order], kind="stable")]
    first, after = (np.searchsorted(corner[order], vertices, side=side) for side in ("left", "right"))
    distance = np.full(len(points), np.inf)
    for k in range(int((after - first).max(initial=0))):
        rows = np.flatnonzero(first + k < after)
        triangles = surface.points_mm[surface.faces[order[first[rows] + k] // 3]]
        distance[rows] = np.minimum(distance[rows], _to_triangle(points[rows], triangles))
    return distance


def _to_triangle(points: FloatArray, triangles: FloatArray) -> FloatArray:
    """(n,) mm: distance of points (n, 3) to triangles (n, 3, 3): to the plane if the foot is inside, else an edge."""
    sides = np.roll(triangles, -1, axis=1) - triangles
    offset = points[:, None] - triangles
    normal = np.cross(sides[:, 0], sides[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    within = (np.einsum("ijk,ijk->ij", np.cross(sides, offset), normal[:, None]) >= 0).all(axis=1)
    along = np.einsum("ijk,ijk->ij", offset, sides) / np.maximum(np.einsum("ijk,ijk->ij", sides, sides), 1e-12)
    to_sides = np.linalg.norm(offset - np.clip(along, 0.0, 1.0)[..., None] * sides, axis=2).min(axis=1)
    to_plane = np.abs(np.einsum("ij,ij->i", offset[:, 0], normal))
    distance: FloatArray = np.where(within, to_plane, to_sides)
    return distance


def measure_joint_space(
    femur: Surface, tibia: ThicknessMap, plateau: Plateau | None, parts: Parts = COMPUTED
) -> tuple[Measurement, ...]:
    """Minimum, its place, and share of the plate below NARROW_MM, of both compartments.

    plateau: for the place; without it the place is NaN
    """
    distance = parts.value(joint_space, femur, tibia)
    return tuple(row for region in COMPARTMENTS for row in _rows(region, distance, tibia, plateau))


def _rows(region: Region, distance: FloatArray, tibia: ThicknessMap, plateau: Plateau | None) -> list[Measurement]:
    inside = in_plate(tibia, region)
    n = int(inside.sum())
    least = mean = share = along = across = float("nan")
    if n:
        areas = tibia.surface.vertex_areas_mm2[inside]
        least, mean = float(distance[inside].min()), float(np.average(distance[inside], weights=areas))
        share = 100.0 * float(areas[distance[inside] < NARROW_MM].sum() / areas.sum())
    if n and plateau is not None:
        along, across = _place(plateau.points_mm[inside], int(distance[inside].argmin()), region)

    def row(quantity: Quantity, statistic: Statistic, value: float) -> Measurement:
        return Measurement.of(
            quantity,
            method=Method.NEAREST_BONE,
            structure=region.plate,
            region=region.name,
            statistic=statistic,
            value=value,
            n=n,
        )

    return [
        row(JOINT_SPACE, Statistic.MIN, least),
        row(JOINT_SPACE, Statistic.MEAN, mean),
        row(JOINT_SPACE_NARROW, Statistic.SHARE, share),
        row(JOINT_SPACE_AP, Statistic.SHARE, along),
        row(JOINT_SPACE_ML, Statistic.SHARE, across),
    ]


def _place(points: FloatArray, narrowest: int, region: Region) -> tuple[float, float]:
    """Percent of the plate's extent from its front, and from its border next to the other plate.

    points (n, 3): the plate along the axes of the plateau
    """
    outwards = points[:, MEDIAL] if region.compartment is Compartment.MEDIAL else -points[:, MEDIAL]
    found = []
    for values in (points[:, POSTERIOR], outwards):
        low, high = float(values.min()), float(values.max())
        found.append(100.0 * (float(values[narrowest]) - low) / max(high - low, 1e-9))
    return found[0], found[1]

"""Plates of known shape and thickness, and the reference's bones with made-up thickness, for tests of flat maps."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import reference_labels
from pipeline.anatomy import PLATE_ON, Side, Structure
from pipeline.flat_maps.reference import reference_plate
from pipeline.grid import FloatArray
from pipeline.quantities import Method
from pipeline.registration import Target
from pipeline.surface import bone_surface
from pipeline.types import Alignment, Segmentation, Surface, ThicknessMap

RADIUS_MM = 24.0
CENTRE_MM = np.array([3.0, 6.0])
"""Of the cylinder, along the posterior and the superior axis."""


def patch(points: FloatArray, normals: FloatArray, columns: int, structure: Structure) -> Surface:
    """A surface from points (rows * columns, 3) in rows; each vertex has a third of the triangles around it."""
    rows = len(points) // columns
    i, j = (a.reshape(-1) for a in np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij"))
    a = i * columns + j
    b, c, d = a + 1, a + columns, a + columns + 1
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])
    corners = points[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    share = np.bincount(faces.reshape(-1), weights=np.repeat(areas, 3) / 3, minlength=len(points))
    return Surface(points_mm=points, faces=faces, normals=normals, vertex_areas_mm2=share, structure=structure)


def cylinder_patch(low_deg: float, high_deg: float, half_width_mm: float, step_mm: float = 0.7) -> Surface:
    """Part of a cylinder around the medial axis; angles from the distal end, anterior positive."""
    count = int(np.ceil(np.radians(high_deg - low_deg) * RADIUS_MM / step_mm)) + 1
    angle = np.radians(np.linspace(low_deg, high_deg, count))
    across = np.linspace(-half_width_mm, half_width_mm, int(2 * half_width_mm / step_mm) + 1)
    a, x = (grid.reshape(-1) for grid in np.meshgrid(angle, across, indexing="ij"))
    normals = np.stack([np.zeros_like(a), -np.sin(a), -np.cos(a)], axis=1)
    points = RADIUS_MM * normals + np.array([0.0, *CENTRE_MM]) + np.outer(x, [1.0, 0.0, 0.0])
    return patch(points, normals, len(across), Structure.FEMUR)


def angle_deg(surface: Surface) -> FloatArray:
    """(n,) of the vertices of a cylinder_patch."""
    posterior, superior = (surface.points_mm[:, 1:] - CENTRE_MM).T
    return np.degrees(np.arctan2(-posterior, -superior))


def plane_patch(axes: FloatArray, half_mm: tuple[float, float], step_mm: float, structure: Structure) -> Surface:
    """A rectangle around the origin. axes (3, 3): rows along its sides and its normal."""
    across, up = (np.linspace(-half, half, int(2 * half / step_mm) + 1) for half in half_mm)
    v, u = (grid.reshape(-1) for grid in np.meshgrid(up, across, indexing="ij"))
    points = np.outer(u, axes[0]) + np.outer(v, axes[1])
    return patch(points, np.tile(axes[2], (len(u), 1)), len(across), structure)


def whole(surface: Surface) -> NDArray[np.bool_]:
    return np.ones(len(surface.points_mm), dtype=bool)


@lru_cache(maxsize=3)
def reference_bone_map(bone: Structure) -> ThicknessMap:
    """A whole bone of the reference, with thickness and regions of its plate."""
    labels, grid = reference_labels(bone)
    surface = bone_surface(Segmentation(labels=labels, grid=grid, model_id="reference_knee"), bone)
    there = reference_plate(bone)
    distance, nearest = Target(surface=there.surface).tree.query(surface.points_mm)
    plate = (distance < 0.6) & np.isfinite(there.thickness_mm[nearest])
    return ThicknessMap(
        surface=surface,
        thickness_mm=np.where(plate, there.thickness_mm[nearest], np.nan),
        region=np.where(plate, there.region[nearest], 0).astype(np.uint8),
        subregion=np.where(plate, there.subregion[nearest], 0).astype(np.uint8),
        method=Method.UNION,
    )


def moved(item: ThicknessMap, matrix: FloatArray) -> ThicknessMap:
    """The same bone after a similarity (4, 4), which may mirror it."""
    linear, size = matrix[:3, :3], np.cbrt(abs(np.linalg.det(matrix[:3, :3])))
    surface = item.surface
    there = replace(
        surface,
        points_mm=surface.points_mm @ linear.T + matrix[:3, 3],
        normals=surface.normals @ linear.T / size,
        vertex_areas_mm2=surface.vertex_areas_mm2 * size**2,
        faces=surface.faces if np.linalg.det(linear) > 0 else surface.faces[:, ::-1],
    )
    return replace(item, surface=there)


def alignment(matrix: FloatArray, side: Side, structure: Structure = Structure.FEMUR) -> Alignment:
    return Alignment(matrix=matrix, side=side, structure=structure, residual_mm=0.5, residual_other_mm=2.0)


def regions_of(bone: Structure) -> tuple[int, ...]:
    return PLATE_ON[bone].labels

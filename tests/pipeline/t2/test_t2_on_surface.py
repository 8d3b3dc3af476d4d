"""T2 at the vertices of a bone, for maps with a known mean along normals."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import FloatArray, Grid
from pipeline.quantities import Method
from pipeline.t2.on_surface import t2_on_surface
from pipeline.types import RelaxationMap, Surface
from tests.support.report_phantom import rotation

AXIS = rotation(23.0, (0.4, -1.0, 0.2)) @ np.array([0.0, 0.0, 1.0])
"""Normal of the bone's plane, oblique to the grid."""

THICKNESS_MM = 3.0
DEEP_MS, PER_MM = 32.0, 5.0
ANTERIOR, PATELLA = 11, 7


def oblique_grid() -> Grid:
    return Grid(
        shape=(22, 52, 48),
        spacing_mm=(1.5, 0.5, 0.6),
        origin_mm=np.array([7.0, -3.0, 11.0]),
        direction=rotation(12.0, (1, 2, 3)),
    )


def middle(grid: Grid) -> FloatArray:
    return grid.to_mm([[(n - 1) / 2 for n in grid.shape]])[0]


def depth_of_voxels(grid: Grid) -> FloatArray:
    """(z, y, x) mm above the plane of the bone."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    depth: FloatArray = ((grid.to_mm(index) - middle(grid)) @ AXIS).reshape(grid.shape)
    return depth


def plane(grid: Grid) -> Surface:
    """Vertices on the bone within 4 mm of the centre, far from every edge of the grid."""
    across = np.cross(AXIS, [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    along = np.cross(AXIS, across)
    u, v = (a.reshape(-1) for a in np.meshgrid(np.linspace(-4, 4, 9), np.linspace(-4, 4, 9), indexing="ij"))
    points = middle(grid) + u[:, None] * across + v[:, None] * along
    return Surface(
        points_mm=points,
        faces=np.array([[0, 1, 9]]),
        normals=np.tile(AXIS, (len(points), 1)),
        vertex_areas_mm2=np.ones(len(points)),
        structure=Structure.FEMUR,
    )


def t2_map(values: FloatArray, grid: Grid) -> RelaxationMap:
    return RelaxationMap(
        time_ms=values.astype(np.float32),
        r2=np.full(grid.shape, 0.99, dtype=np.float32),
        method=Method.MULTI_ECHO,
        grid=grid,
    )


def test_a_map_linear_in_depth_gives_its_value_at_half_depth() -> None:
    grid = oblique_grid()
    depth = depth_of_voxels(grid)
    surface = plane(grid)
    everywhere = np.full(grid.shape, ANTERIOR, dtype=np.uint8)
    thickness = np.linspace(0.5, THICKNESS_MM, len(surface.points_mm))
    found = t2_on_surface(surface, thickness, t2_map(DEEP_MS + PER_MM * depth, grid), everywhere).whole
    np.testing.assert_allclose(found, DEEP_MS + PER_MM * thickness / 2, atol=1e-3)


def test_layers_of_a_map_linear_in_depth_have_its_values_at_a_quarter_and_three_quarters() -> None:
    grid = oblique_grid()
    depth = depth_of_voxels(grid)
    surface = plane(grid)
    everywhere = np.full(grid.shape, ANTERIOR, dtype=np.uint8)
    thickness = np.full(len(surface.points_mm), 2.0)  # four samples in each layer
    found = t2_on_surface(surface, thickness, t2_map(DEEP_MS + PER_MM * depth, grid), everywhere)
    np.testing.assert_allclose(found.deep, DEEP_MS + PER_MM * 0.5, atol=1e-3)
    np.testing.assert_allclose(found.superficial, DEEP_MS + PER_MM * 1.5, atol=1e-3)


def test_bone_fluid_and_poor_fits_are_excluded() -> None:
    grid = oblique_grid()
    depth = depth_of_voxels(grid)
    inside = (depth >= 0) & (depth <= THICKNESS_MM)
    t2 = t2_map(np.where(inside, 40.0, 95.0), grid)
    t2.time_ms[depth < 0] = np.nan
    t2.r2[inside & (depth > 2.0)] = 0.3
    t2.time_ms[inside & (depth > 2.0)] = 88.0
    surface = plane(grid)
    found = t2_on_surface(
        surface,
        np.full(len(surface.points_mm), THICKNESS_MM),
        t2,
        np.where(inside, ANTERIOR, 0).astype(np.uint8),
    ).whole
    np.testing.assert_allclose(found, 40.0, atol=1e-3)


def test_without_usable_samples_the_value_is_nan() -> None:
    grid = oblique_grid()
    surface = plane(grid)
    n = len(surface.points_mm)
    t2 = t2_map(np.full(grid.shape, 45.0), grid)
    everywhere = np.full(grid.shape, ANTERIOR, dtype=np.uint8)
    bare = np.where(np.arange(n) % 2 == 0, np.nan, 0.0)
    assert np.isnan(t2_on_surface(surface, bare, t2, everywhere).whole).all()
    other_plate = np.full(grid.shape, PATELLA, dtype=np.uint8)
    assert np.isnan(t2_on_surface(surface, np.full(n, 2.0), t2, other_plate).whole).all()
    assert t2_on_surface(surface, np.full(n, 2.0), t2, everywhere).whole == pytest.approx(np.full(n, 45.0))

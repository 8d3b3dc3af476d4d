"""Cells of a flat map hold the true area of the bone, and integrals of values stay those of the surface."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.anatomy import Structure
from pipeline.flat_maps.cells import ACROSS_MM, HALF_WIDTH_MM, cells_of
from pipeline.flat_maps.frame import Frame, cylinder, plane
from pipeline.types import Surface
from tests.support.flat_plates import CENTRE_MM, RADIUS_MM, angle_deg, cylinder_patch, plane_patch, whole


def inner(area: np.ndarray) -> np.ndarray:
    """Cells whose eight neighbours and theirs hold bone."""
    filled = area > 0
    for _ in range(2):
        beside = [np.roll(filled, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        filled = np.logical_and.reduce(beside)
    return filled


def unrolled(surface: Surface, frame: Frame):
    return cells_of(surface, whole(surface), frame.coordinates(surface.points_mm), frame)


def femoral(surface: Surface) -> Frame:
    return cylinder(surface.points_mm, surface.vertex_areas_mm2)


@pytest.mark.parametrize("step_mm", [0.3, 0.7, 3.0], ids=["fine", "scan", "thick_slices"])
def test_a_cylinder_is_unrolled_by_its_own_radius_into_cells_of_equal_area(step_mm: float) -> None:
    surface = cylinder_patch(-110.0, 95.0, 30.0, step_mm)
    frame = femoral(surface)
    assert frame.radius_mm == pytest.approx(RADIUS_MM, abs=1e-6)
    assert frame.matrix @ [0.0, *CENTRE_MM, 1.0] == pytest.approx([0.0, 0.0, 0.0, 1.0], abs=1e-6)
    cells = unrolled(surface, frame)
    arc = np.radians(205.0) * RADIUS_MM
    assert cells.area_mm2.sum() == pytest.approx(arc * 60.0, rel=0.003)
    expected = ACROSS_MM * np.radians(1.0) * RADIUS_MM
    assert cells.area_mm2[inner(cells.area_mm2)] == pytest.approx(expected, rel=0.1)
    rows = np.flatnonzero((cells.area_mm2 > expected / 2).any(axis=1))
    assert cells.up[rows[[0, -1]]] == pytest.approx([-110.0, 95.0], abs=1.0)


def test_thickness_stays_at_its_angle_and_its_integral_that_of_the_surface() -> None:
    surface = cylinder_patch(-110.0, 95.0, 30.0)
    thickness = 2.0 + angle_deg(surface) / 100.0 + surface.points_mm[:, 0] / 40.0
    cells = unrolled(surface, femoral(surface))
    values = cells.mean_of(thickness)
    there = inner(cells.area_mm2)
    truth = 2.0 + cells.up[:, None] / 100.0 + cells.across / 40.0
    assert values[there] == pytest.approx(truth[there], abs=0.02)
    assert np.nansum(values * cells.area_mm2) == pytest.approx(thickness @ surface.vertex_areas_mm2, rel=1e-9)
    assert np.isnan(values[cells.area_mm2 == 0]).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_plane_is_projected_along_its_own_normal(seed: int) -> None:
    turn = Rotation.from_euler("xyz", np.random.default_rng(seed).uniform(-35, 35, 3), degrees=True).as_matrix()
    surface = plane_patch(turn.T, (17.0, 12.0), 0.6, Structure.TIBIA)
    frame = plane(surface.points_mm, surface.normals, surface.vertex_areas_mm2, Structure.TIBIA)
    assert frame.matrix[2, :3] == pytest.approx(turn[:, 2], abs=1e-6)
    assert frame.matrix[0, 0] > 0 > frame.matrix[1, 1]  # medial to the right, anterior up
    cells = unrolled(surface, frame)
    assert cells.area_mm2.sum() == pytest.approx(34.0 * 24.0, rel=1e-6)
    assert cells.outside_mm2 == pytest.approx(0.0, abs=1e-9)
    assert cells.mean_of(np.full(len(surface.points_mm), 1.7))[cells.area_mm2 > 0] == pytest.approx(1.7)


def test_a_patella_has_superior_up_and_medial_to_the_right() -> None:
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    surface = plane_patch(axes, (15.0, 12.0), 0.6, Structure.PATELLA)
    frame = plane(surface.points_mm, surface.normals, surface.vertex_areas_mm2, Structure.PATELLA)
    assert frame.matrix[:3, :3] == pytest.approx(axes, abs=1e-9)
    assert frame.upwards == ("superior", "inferior")


def test_bone_that_is_steep_in_the_map_has_more_area_per_cell() -> None:
    tilt = Rotation.from_euler("x", 60.0, degrees=True).as_matrix()
    surface = plane_patch(tilt.T, (10.0, 14.0), 0.4, Structure.TIBIA)
    level = Frame(matrix=np.eye(4), radius_mm=None, upwards=("anterior", "posterior"))
    cells = unrolled(surface, level)
    assert cells.area_mm2.sum() == pytest.approx(20.0 * 28.0, rel=1e-6)
    assert np.median(cells.area_mm2[inner(cells.area_mm2)]) == pytest.approx(ACROSS_MM**2 / np.cos(np.pi / 3), rel=0.05)


def test_a_plate_across_the_seam_of_the_cylinder_is_not_smeared_over_the_map() -> None:
    surface = cylinder_patch(150.0, 210.0, 10.0)
    frame = femoral(cylinder_patch(-110.0, 95.0, 10.0))
    cells = unrolled(surface, frame)
    arc = np.radians(60.0) * RADIUS_MM
    assert cells.area_mm2.sum() == pytest.approx(arc * 20.0, rel=0.003)
    assert (cells.area_mm2[np.abs(cells.up) < 148.0] == 0).all()


def test_bone_beyond_the_map_is_counted() -> None:
    surface = plane_patch(np.eye(3), (HALF_WIDTH_MM + 5.0, 5.0), 1.0, Structure.TIBIA)
    cells = unrolled(surface, Frame(matrix=np.eye(4), radius_mm=None, upwards=("anterior", "posterior")))
    assert cells.outside_mm2 == pytest.approx(2 * 5.0 * 10.0, rel=0.02)
    assert cells.area_mm2.sum() + cells.outside_mm2 == pytest.approx(surface.vertex_areas_mm2.sum())


def test_a_part_of_the_surface_is_a_plate_and_values_without_number_are_left_out() -> None:
    surface = plane_patch(np.eye(3), (12.0, 12.0), 0.5, Structure.TIBIA)
    frame = Frame(matrix=np.eye(4), radius_mm=None, upwards=("anterior", "posterior"))
    plate = np.hypot(*surface.points_mm[:, :2].T) < 9.0
    cells = cells_of(surface, plate, frame.coordinates(surface.points_mm), frame)
    assert cells.area_mm2.sum() == pytest.approx(surface.vertex_areas_mm2[plate].sum())
    values = np.where(surface.points_mm[:, 0] > 0, 40.0, np.nan)
    found = cells.mean_of(values)
    assert [np.nanmin(found), np.nanmax(found)] == pytest.approx([40.0, 40.0])
    assert np.isnan(found[:, cells.across < -1.0]).all()
    there = cells.vertex >= 0
    assert np.array_equal(there, cells.area_mm2 > 0)
    assert plate[cells.vertex[there]].all()
    centre = np.stack(np.meshgrid(cells.across, cells.up), axis=-1)[there]
    assert np.abs(surface.points_mm[cells.vertex[there], :2] - centre).max() < 1.0


def test_the_order_of_vertices_does_not_matter() -> None:
    surface = cylinder_patch(-60.0, 60.0, 12.0)
    order = np.random.default_rng(1).permutation(len(surface.points_mm))
    back = np.argsort(order)
    shuffled = replace(
        surface,
        points_mm=surface.points_mm[order],
        normals=surface.normals[order],
        vertex_areas_mm2=surface.vertex_areas_mm2[order],
        faces=back[surface.faces],
    )
    frame = femoral(surface)
    one, two = unrolled(surface, frame), unrolled(shuffled, frame)
    assert two.area_mm2 == pytest.approx(one.area_mm2, abs=1e-9)

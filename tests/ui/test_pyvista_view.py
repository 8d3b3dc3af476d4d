"""The PyVista view, exported by a real process from real surface files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvista as pv

from pipeline.anatomy import BONES, Structure
from pipeline.report.colours import BONE
from pipeline.report.meshes import bone_maps, write_surfaces
from pipeline.types import Surface, ThicknessMap
from ui.viewers import pyvista_export as scene_export
from ui.viewers.pyvista_view import export_scene

RADIUS_MM = 20.0


def half_covered_sphere(structure: Structure, centre_mm: tuple[float, float, float]) -> ThicknessMap:
    """A sphere with 2 mm of cartilage on its lower half."""
    sphere = pv.Sphere(radius=RADIUS_MM, theta_resolution=90, phi_resolution=90)
    points = np.asarray(sphere.points, dtype=np.float64)
    covered = points[:, 2] < 0.0
    surface = Surface(
        points_mm=points + centre_mm,
        faces=sphere.regular_faces.astype(np.int64),
        normals=points / np.linalg.norm(points, axis=1, keepdims=True),
        vertex_areas_mm2=np.full(len(points), 4 * np.pi * RADIUS_MM**2 / len(points)),
        structure=structure,
    )
    return ThicknessMap(
        surface=surface,
        thickness_mm=np.where(covered, 2.0, np.nan),
        region=np.where(covered, 12, 0).astype(np.uint8),
        method="union",
    )


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("surfaces")
    maps = [half_covered_sphere(bone, (100.0, -50.0, 60.0 * place)) for place, bone in enumerate(BONES)]
    write_surfaces(bone_maps(maps), folder)
    return folder


def test_a_decimated_surface_keeps_position_and_values(surfaces: Path) -> None:
    full = pv.PolyData(pv.read(surfaces / "surfaces" / "femur.vtp"))
    light = scene_export.decimated(full)
    middle = np.array([100.0, -50.0, 0.0])
    assert 0 < light.n_cells < full.n_cells
    distance = np.linalg.norm(light.points - middle, axis=1)
    assert np.abs(distance - RADIUS_MM).max() < 0.5
    covered = light.points[:, 2] < -scene_export.CELL_MM
    bare = light.points[:, 2] > scene_export.CELL_MM
    thickness = np.asarray(light.point_data["thickness_mm"])
    assert (thickness[covered] == 2.0).all()
    assert np.isnan(thickness[bare]).all()


def test_every_triangle_of_a_decimated_surface_faces_outwards(surfaces: Path) -> None:
    light = scene_export.decimated(pv.PolyData(pv.read(surfaces / "surfaces" / "femur.vtp")))
    a, b, c = (light.points[light.regular_faces[:, k]] for k in range(3))
    outwards = (a + b + c) / 3 - np.array([100.0, -50.0, 0.0])
    area = np.cross(b - a, c - a)
    turned_in = np.einsum("ij,ij->i", area, outwards) < 0.0
    assert np.linalg.norm(area[turned_in], axis=1).sum() < 1e-3 * np.linalg.norm(area, axis=1).sum()


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_bones_are_laid_out_apart_with_the_patella_on_the_lateral_side(surfaces: Path, side: str, sign: float) -> None:
    bones = scene_export.coloured_bones(surfaces)
    scene_export.lay_out(bones, side)
    femur, tibia, patella = (bones[bone] for bone in BONES)
    assert tibia.bounds.z_max <= femur.bounds.z_min - scene_export.GAP_MM + 1e-3
    gap = sign * patella.center[0] - RADIUS_MM - max(sign * femur.center[0], sign * tibia.center[0]) - RADIUS_MM
    assert gap == pytest.approx(scene_export.GAP_MM, abs=0.5)


def test_a_rotated_femur_faces_the_viewer_with_its_underside(surfaces: Path) -> None:
    femur = scene_export.coloured_bones(surfaces)[Structure.FEMUR]
    front = femur.points[:, 1] < -0.9 * RADIUS_MM
    bare = np.asarray(femur.point_data["colour"])[front] == BONE
    assert not bare.all(axis=1).any()


@pytest.mark.slow
def test_an_export_is_one_self_contained_page(surfaces: Path) -> None:
    scene = export_scene(str(surfaces), "right")
    assert scene.failure == ""
    assert "OfflineLocalView.load(" in scene.html
    for tag in ('<script src="http', '<link href="http', "@import", 'src="//'):
        assert tag not in scene.html


@pytest.mark.slow
def test_a_failed_export_returns_a_message_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "surfaces").mkdir()
    (tmp_path / "surfaces" / "femur.vtp").write_bytes(b"no surface at all")
    scene = export_scene(str(tmp_path), "right")
    assert scene.html == ""
    assert scene.failure == "the export failed"

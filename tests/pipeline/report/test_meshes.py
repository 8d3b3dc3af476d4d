"""Surfaces with thickness as VTP and PLY."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista

from pipeline.anatomy import Structure
from pipeline.report.colours import BONE, thickness_rgb
from pipeline.report.meshes import BoneMap, bone_maps, write_ply, write_vtp
from tests.support.report_phantom import phantom, sphere, thickness_map


@pytest.fixture
def femur() -> BoneMap:
    return bone_maps(phantom().thickness)[0]


def test_maps_are_grouped_by_bone_with_both_methods(femur: BoneMap) -> None:
    bones = bone_maps(phantom().thickness)
    assert [bone.surface.structure for bone in bones] == [Structure.FEMUR, Structure.TIBIA, Structure.PATELLA]
    covered = femur.thickness_mm > 0
    assert np.allclose(femur.thickness_mm[covered] - femur.two_crossing_mm[covered], 0.125)


def test_maps_with_different_vertices_are_rejected() -> None:
    coarse = thickness_map(sphere(Structure.FEMUR, rings=10), "two_crossing")
    with pytest.raises(ValueError, match="same surface"):
        bone_maps((thickness_map(sphere(Structure.FEMUR), "union"), coarse))


def test_a_vtp_reads_back_with_geometry_and_values(femur: BoneMap, tmp_path: Path) -> None:
    write_vtp(tmp_path / "femur.vtp", femur)
    mesh = pyvista.read(tmp_path / "femur.vtp")
    assert np.array_equal(mesh.points, femur.surface.points_mm.astype(np.float32))
    assert np.array_equal(mesh.regular_faces, femur.surface.faces)
    for name, values in (
        ("thickness_mm", femur.thickness_mm),
        ("thickness_two_crossing_mm", femur.two_crossing_mm),
    ):
        assert np.array_equal(mesh.point_data[name], values.astype(np.float32), equal_nan=True)
    assert np.array_equal(mesh.point_data["region"], femur.region)
    assert np.allclose(mesh.point_data["Normals"], femur.surface.normals, atol=1e-6)
    assert mesh.active_scalars_name == "thickness_mm"
    assert mesh.field_data["SPACE"][0] == "LPS"


def test_a_ply_reads_back_with_geometry_and_colours(femur: BoneMap, tmp_path: Path) -> None:
    write_ply(tmp_path / "femur.ply", femur)
    mesh = pyvista.read(tmp_path / "femur.ply")
    assert np.array_equal(mesh.points, femur.surface.points_mm.astype(np.float32))
    assert np.array_equal(mesh.regular_faces, femur.surface.faces)
    assert np.array_equal(mesh.point_data["RGB"], thickness_rgb(femur.thickness_mm))


def test_a_ply_has_thickness_as_a_value_at_every_vertex(femur: BoneMap, tmp_path: Path) -> None:
    write_ply(tmp_path / "femur.ply", femur)
    data = (tmp_path / "femur.ply").read_bytes()
    header, _, body = data.partition(b"end_header\n")
    lines = header.decode().splitlines()
    properties = [line.split()[1:] for line in lines if line.startswith("property") and "list" not in line]
    kinds = {"float": "<f4", "uchar": "u1"}
    layout = np.dtype([(name, kinds[kind]) for kind, name in properties])
    vertices = np.frombuffer(body, layout, count=len(femur.region))
    assert np.array_equal(vertices["thickness_mm"], femur.thickness_mm.astype(np.float32), equal_nan=True)
    assert np.array_equal(vertices["region"], femur.region)
    assert b"comment SPACE=LPS" in header


def test_colours_follow_the_fixed_scale_and_bone_outside_plates_has_the_bone_colour() -> None:
    rgb = thickness_rgb(np.array([np.nan, 0.0, 5.0, 9.0]))
    assert tuple(rgb[0]) == BONE
    assert tuple(rgb[1]) == (68, 1, 84)
    assert tuple(rgb[2]) == tuple(rgb[3]) == (253, 231, 37)
    ramp = thickness_rgb(np.linspace(0, 5, 200)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(ramp) >= -1.0).all()
    assert ramp[-1] > ramp[0] + 150


def test_a_method_that_was_not_run_is_nan_everywhere() -> None:
    only = thickness_map(sphere(Structure.TIBIA), "two_crossing")
    bone = bone_maps((replace(only),))[0]
    assert np.isnan(bone.thickness_mm).all()
    assert np.isfinite(bone.two_crossing_mm).any()

"""qc/overlay.png and qc/surfaces.png, and the rasteriser behind the latter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.anatomy import BONES, TISSUE_COLOURS, Side, Structure, Tissue
from pipeline.report.contact_sheet import draw_slice, outline, write_contact_sheet
from pipeline.report.meshes import BoneMap, bone_maps
from pipeline.report.raster import rasterise
from pipeline.report.slices import Slice
from pipeline.report.thumbnails import VIEWS, camera_axes, render, write_thumbnails
from pipeline.types import Alignment, Surface
from pipeline.uses import Uses
from tests.support.report_phantom import MIDDLE_MM, RADII_MM, phantom, sphere

pytestmark = pytest.mark.slow


def test_the_contact_sheet_is_small_sharp_and_coloured(tmp_path: Path) -> None:
    write_contact_sheet(phantom(), tmp_path / "overlay.png")
    assert (tmp_path / "overlay.png").stat().st_size <= 1_500_000
    picture = np.asarray(Image.open(tmp_path / "overlay.png").convert("RGB")).astype(int)
    assert picture.shape[1] >= 2000
    for tissue in (Tissue.BONE, Tissue.CARTILAGE):
        near = np.abs(picture - TISSUE_COLOURS[tissue]).max(axis=2) < 24
        assert near.sum() > 2000, tissue


def test_a_noisy_scan_gives_a_small_sheet(tmp_path: Path) -> None:
    result = phantom()
    assert result.scan is not None
    noise = np.random.default_rng(0).normal(500, 200, result.scan.echoes.shape).astype(np.float32)
    write_contact_sheet(replace(result, scan=replace(result.scan, echoes=noise)), tmp_path / "overlay.png")
    assert (tmp_path / "overlay.png").stat().st_size <= 1_500_000


def test_an_outline_is_at_the_physical_position_of_the_edge() -> None:
    labels = np.zeros((20, 30), dtype=np.uint8)
    labels[5:15, 10:20] = Structure.FEMUR
    blank = np.zeros(labels.shape, dtype=np.float32)
    item = Slice(labels=labels, image=blank, spacing_mm=(3.0, 0.5), letters=("", "", "", ""), caption="")
    picture = np.asarray(draw_slice(item, 4.0, (0.0, 1.0))).astype(int)
    assert picture.shape == (240, 60, 3)
    drawn = picture.max(axis=2) > 120
    rows, columns = np.nonzero(drawn)
    assert abs(rows.min() - 60) <= 3
    assert abs(rows.max() - 180) <= 3
    assert abs(columns.min() - 20) <= 3
    assert abs(columns.max() - 40) <= 3
    assert not drawn[90:150, 26:34].any()


def test_an_outline_is_drawn_only_where_the_mask_crosses_one_half() -> None:
    ramp = np.tile(np.linspace(0, 1, 41, dtype=np.float32), (5, 1))
    line = outline(ramp)
    assert line[:, 20].min() == 1.0
    assert line[:, :17].max() == 0.0
    assert outline(np.ones((5, 5), dtype=np.float32)).max() == 0.0


def test_a_rasterised_sphere_has_the_area_and_depth_of_a_disc() -> None:
    surface = sphere(Structure.FEMUR, rings=120)
    local = surface.points_mm - surface.points_mm.mean(axis=0)
    scale, size = 8.0, 320
    points = np.stack([local[:, 0], -local[:, 1]], axis=1) * scale + size / 2
    seen = rasterise(points, local[:, 2], surface.faces, (size, size))
    radius = RADII_MM[Structure.FEMUR]
    assert np.isclose(len(seen.pixels) / scale**2, np.pi * radius**2, rtol=0.01)
    rows, columns = np.divmod(seen.pixels, size)
    at = (np.stack([columns, rows], axis=1) + 0.5 - size / 2) / scale
    depth = np.einsum("ij,ij->i", seen.weights, local[:, 2][surface.faces[seen.faces]])
    inner = np.linalg.norm(at, axis=1) < 0.9 * radius
    truth = np.sqrt(radius**2 - (at[inner] ** 2).sum(axis=1))
    assert np.abs(depth[inner] - truth).max() < 0.05
    assert np.allclose(seen.weights.sum(axis=1), 1.0)


def test_closer_triangles_hide_others_and_back_faces_are_invisible() -> None:
    square = np.array([[10.0, 50.0], [50.0, 50.0], [10.0, 10.0], [50.0, 10.0]])
    points = np.concatenate([square, square / 2 + 10])
    depth = np.array([0.0] * 4 + [5.0] * 4)
    faces = np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6], [5, 7, 6]], dtype=np.int64)
    seen = rasterise(points, depth, faces, (64, 64))
    front = np.full(64 * 64, -1)
    front[seen.pixels] = seen.faces
    picture = front.reshape(64, 64)
    assert set(np.unique(picture[16:34, 16:34])) <= {2, 3}
    assert set(np.unique(picture[36:49, 36:49])) <= {0, 1}
    assert (picture >= 0).sum() == 40 * 40
    assert len(rasterise(points, depth, faces[:, ::-1], (64, 64)).pixels) == 0


def test_a_huge_triangle_and_one_outside_the_picture_are_handled() -> None:
    points = np.array([[-4000.0, 5000.0], [5000.0, 5000.0], [0.0, -9000.0], [-30.0, 5.0], [-20.0, 5.0], [-25.0, 1.0]])
    seen = rasterise(points, np.arange(6.0), np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int64), (50, 70))
    assert len(seen.pixels) == 50 * 70
    assert set(seen.faces) == {0}


def mirrored(bone: BoneMap) -> BoneMap:
    """The same bone of the other knee: x reversed in the patient, triangles reversed to stay outward."""
    surface = bone.surface
    flip = np.array([-1.0, 1.0, 1.0])
    other = Surface(
        points_mm=surface.points_mm * flip,
        faces=surface.faces[:, ::-1].copy(),
        normals=surface.normals * flip,
        vertex_areas_mm2=surface.vertex_areas_mm2,
        structure=surface.structure,
    )
    return replace(bone, surface=other)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.title)
def test_a_left_knee_is_shown_as_the_mirror_image_of_the_right_one(view: object) -> None:
    alignment = phantom().alignment
    bone = next(b for b in bone_maps(phantom().thickness) if b.surface.structure is view.structure)
    left = Alignment(
        matrix=alignment.matrix @ np.diag([-1.0, 1.0, 1.0, 1.0]), side=Side.LEFT, residual_mm=0.8, residual_other_mm=1.9
    )
    here = render(bone, camera_axes(view, alignment), 4.0)
    there = render(mirrored(bone), camera_axes(view, left), 4.0)
    assert here.shape == there.shape
    covered = (here[..., 3] == there[:, ::-1, 3]).mean()
    assert covered > 0.99
    # the light position is fixed, so brightness differs, but not the hue (cartilage or bone)
    bluer = [picture[..., 2].astype(int) > picture[..., 0] for picture in (here, there[:, ::-1])]
    assert (bluer[0] == bluer[1]).mean() > 0.97


def test_each_view_shows_the_cartilage_that_faces_it() -> None:
    result = phantom()
    for view in VIEWS:
        bone = next(b for b in bone_maps(result.thickness) if b.surface.structure is view.structure)
        axes = camera_axes(view, result.alignment)
        assert np.allclose(axes @ axes.T, np.eye(3))
        assert np.linalg.det(axes) > 0
        picture = render(bone, axes, 4.0).astype(int)
        blue = picture[..., 2] > picture[..., 0]
        share = blue.sum() / (picture[..., 3] > 0).sum()
        assert share > 0.7 if view.title != "Femur, from the front" else 0.1 < share < 0.6, view.title


def test_the_surfaces_picture_is_transparent_and_shows_every_bone(tmp_path: Path) -> None:
    result = phantom()
    write_thumbnails(bone_maps(result.thickness), result.alignment, tmp_path / "all.png", Uses(flags=()))
    write_thumbnails(bone_maps(result.thickness)[:1], result.alignment, tmp_path / "femur.png", Uses(flags=()))
    whole, part = Image.open(tmp_path / "all.png"), Image.open(tmp_path / "femur.png")
    assert whole.mode == "RGBA"
    assert np.asarray(whole)[0, 0, 3] == 0
    assert whole.width > part.width > 0
    assert len(BONES) == 3
    assert MIDDLE_MM.shape == (3,)

"""Bone surfaces of analytic spheres."""

import numpy as np
import pytest

from bench.phantoms import ellipsoid
from pipeline.anatomy import Structure
from pipeline.errors import EmptyStructure, SurfaceFailed
from pipeline.grid import Grid
from pipeline.surface import (
    LEVEL,
    MARGIN_MM,
    SMOOTHING_VARIANCE_MM2,
    Field,
    _turned_out,
    bone_surface,
    bone_surfaces,
    contour,
    smoothed,
)
from pipeline.types import Segmentation


@pytest.mark.parametrize(
    ("spacing", "tilt_deg"), [((0.7, 0.3646, 0.3646), 1.0), ((1.5, 0.5, 0.5), 5.5), ((0.4, 0.4, 0.4), 0.6)]
)
def test_a_sphere_has_its_radius_area_and_outward_normals(spacing, tilt_deg):
    """Without the average before the normals are computed, they are tilted by twice as much in fine voxels."""
    phantom = ellipsoid((20, 20, 20), 2.0, seed=1, spacing_mm=spacing)
    surface = bone_surface(phantom.segmentation, Structure.FEMUR)
    offset = surface.points_mm - phantom.centre_mm
    radius = np.linalg.norm(offset, axis=1)
    # a Gaussian moves a convex boundary inwards by its variance divided by the radius
    assert radius.mean() == pytest.approx(20 - SMOOTHING_VARIANCE_MM2 / 20, abs=0.03)
    # the voxel staircase of 1.5 mm slices increases the surface area
    assert surface.vertex_areas_mm2.sum() == pytest.approx(4 * np.pi * 20**2, rel=0.02)
    outward = np.einsum("ij,ij->i", offset / radius[:, None], surface.normals)
    assert outward.min() > 0.8
    assert np.degrees(np.arccos(np.minimum(outward, 1))).mean() < tilt_deg
    assert np.linalg.norm(surface.normals, axis=1) == pytest.approx(1.0)
    a, b, c = (surface.points_mm[surface.faces[:, k]] for k in range(3))
    volume = (
        np.einsum("ij,ij->i", a - phantom.centre_mm, np.cross(b - phantom.centre_mm, c - phantom.centre_mm)).sum() / 6
    )
    assert volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.01)  # positive: faces point outwards


def test_a_left_handed_grid_gives_the_same_surface_with_outward_faces():
    phantom = ellipsoid((20, 20, 20), 2.0, seed=2)
    grid, labels = phantom.segmentation.grid, phantom.segmentation.labels
    last = grid.to_mm([[0, 0, grid.shape[2] - 1]])[0]
    flipped = Grid(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        origin_mm=last,
        direction=grid.direction * np.array([-1, 1, 1]),
    )
    stored = Segmentation(labels=np.ascontiguousarray(labels[:, :, ::-1]), grid=flipped, model_id="x")
    ours = bone_surface(stored, Structure.FEMUR)
    other = bone_surface(phantom.segmentation, Structure.FEMUR)
    assert ours.vertex_areas_mm2.sum() == pytest.approx(other.vertex_areas_mm2.sum(), rel=1e-6)
    assert ours.points_mm.mean(axis=0) == pytest.approx(other.points_mm.mean(axis=0), abs=1e-4)
    a, b, c = (ours.points_mm[ours.faces[:, k]] - phantom.centre_mm for k in range(3))
    assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0


def test_a_bone_cut_by_the_field_of_view_is_closed():
    phantom = ellipsoid((20, 20, 20), 2.0, seed=3)
    half = phantom.segmentation.labels.shape[0] // 2
    grid = phantom.segmentation.grid.crop((0, 0, 0), (half, *phantom.segmentation.grid.shape[1:]))
    cut = Segmentation(labels=phantom.segmentation.labels[:half], grid=grid, model_id="x")
    surface = bone_surface(cut, Structure.FEMUR)
    edges = np.sort(
        np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]]), axis=1
    )
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert (uses == 2).all()


def test_the_error_names_a_missing_bone():
    phantom = ellipsoid((10, 10, 10), 2.0, seed=4)
    with pytest.raises(EmptyStructure, match="Patella was not found"):
        bone_surface(phantom.segmentation, Structure.PATELLA)


def test_a_tiny_bone_has_no_surface():
    labels = np.zeros((9, 9, 9), dtype=np.uint8)
    labels[4, 4, 4] = Structure.TIBIA
    grid = Grid(shape=(9, 9, 9), spacing_mm=(0.5, 0.5, 0.5), origin_mm=np.zeros(3), direction=np.eye(3))
    with pytest.raises(SurfaceFailed, match="too small"):
        bone_surface(Segmentation(labels=labels, grid=grid, model_id="x"), Structure.TIBIA)


def cube(spacing=(0.4, 1.5, 0.3)):
    """A block of 4 x 4 x 4 voxels in the middle, far from the origin."""
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[2:6, 2:6, 2:6] = True
    return mask, Grid(shape=mask.shape, spacing_mm=spacing, origin_mm=np.array([9.0, -7, 5]), direction=np.eye(3))


def test_a_smoothed_label_has_an_empty_margin_of_three_millimetres_and_keeps_its_place():
    mask, grid = cube()
    field = smoothed(mask, grid, SMOOTHING_VARIANCE_MM2)
    for size, inner, spacing in zip(field.grid.shape, grid.shape, grid.spacing_mm, strict=True):
        assert MARGIN_MM <= (size - inner) / 2 * spacing < MARGIN_MM + spacing
    assert field.values.sum() == pytest.approx(mask.sum(), rel=1e-3)
    place = np.indices(field.grid.shape).reshape(3, -1).T
    centre = field.grid.to_mm(place) * field.values.reshape(-1, 1)
    assert centre.sum(axis=0) / field.values.sum() == pytest.approx(grid.to_mm([[3.5, 3.5, 3.5]])[0], abs=1e-3)


def test_without_smoothing_the_label_is_unchanged():
    mask, grid = cube()
    values = smoothed(mask, grid, 0.0).values
    assert set(np.unique(values)) == {0.0, 1.0}
    assert values.sum() == mask.sum()


def test_a_field_is_linear_between_voxels_and_zero_outside():
    values = np.zeros((3, 3, 3), dtype=np.float32)
    values[1, 1, 1] = 2.0
    _, grid = cube()
    field = Field(values=values + 1, grid=grid)
    at = np.array([[1, 1, 1], [1, 1, 1.25], [-5, 1, 1], [1, 9, 1]]).T
    assert field.at_index(at) == pytest.approx([3.0, 2.5, 0.0, 0.0])


def test_the_contour_is_where_the_field_crosses_the_level():
    values = np.zeros((5, 5, 5), dtype=np.float32)
    _, grid = cube(spacing=(2.0, 3.0, 4.0))
    grid = Grid(shape=(5, 5, 5), spacing_mm=grid.spacing_mm, origin_mm=grid.origin_mm, direction=grid.direction)
    points, faces = contour(Field(values=values, grid=grid))
    assert (points.shape, faces.shape) == ((0, 3), (0, 3))
    values[2, 2, 2] = 2 * LEVEL
    points, faces = contour(Field(values=values, grid=grid))
    assert len(points) == 6
    assert len(faces) == 8
    assert np.abs(points - [8.0, 6.0, 4.0]).max(axis=0) == pytest.approx([2.0, 1.5, 1.0])


def test_every_segmented_bone_has_a_surface_and_a_required_one_must_exist():
    phantom = ellipsoid((6, 6, 6), 2.0, seed=4).segmentation
    assert [surface.structure for surface in bone_surfaces(phantom)] == [Structure.FEMUR]
    with pytest.raises(EmptyStructure, match="Tibia was not found"):
        bone_surfaces(phantom, required=(Structure.TIBIA,))
    bare = Segmentation(labels=np.zeros_like(phantom.labels), grid=phantom.grid, model_id="x")
    with pytest.raises(EmptyStructure, match="No bone"):
        bone_surfaces(bare)
    plate = bone_surface(phantom, Structure.FEMORAL_CARTILAGE)
    assert plate.vertex_areas_mm2.sum() == pytest.approx(4 * np.pi * (6**2 + 8**2), rel=0.03), "inside and outside"


def test_faces_are_turned_to_the_side_of_the_normals_wherever_the_surface_is():
    triangle = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    for origin in ([0, 0, 0], [40, 50, 60], [-40, -50, -60], [0, -7, 0]):
        for faces, up in (([[0, 1, 2]], True), ([[0, 2, 1]], False)):
            turned = _turned_out(triangle + origin, np.array(faces), np.tile([0.0, 0, 1 if up else -1], (3, 1)))
            assert turned.tolist() == faces
            turned = _turned_out(triangle + origin, np.array(faces), np.tile([0.0, 0, -1 if up else 1], (3, 1)))
            assert turned.tolist() == [faces[0][::-1]]

"""Bone surfaces of analytic spheres."""

import numpy as np
import pytest

from bench.phantoms import ellipsoid
from pipeline.anatomy import Structure
from pipeline.errors import EmptyStructure, SurfaceFailed
from pipeline.grid import Grid
from pipeline.surface import SMOOTHING_VARIANCE_MM2, bone_surface
from pipeline.types import Segmentation


@pytest.mark.parametrize("spacing", [(0.7, 0.3646, 0.3646), (1.5, 0.5, 0.5), (0.4, 0.4, 0.4)])
def test_a_sphere_has_its_radius_area_and_outward_normals(spacing):
    phantom = ellipsoid((20, 20, 20), 2.0, seed=1, spacing_mm=spacing)
    surface = bone_surface(phantom.segmentation, Structure.FEMUR)
    offset = surface.points_mm - phantom.centre_mm
    radius = np.linalg.norm(offset, axis=1)
    # a Gaussian moves a convex boundary inwards by its variance divided by the radius
    assert radius.mean() == pytest.approx(20 - SMOOTHING_VARIANCE_MM2 / 20, abs=0.03)
    # the voxel staircase of 1.5 mm slices increases the surface area
    assert surface.vertex_areas_mm2.sum() == pytest.approx(4 * np.pi * 20**2, rel=0.02)
    assert np.einsum("ij,ij->i", offset, surface.normals).min() > 0.8 * 20
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

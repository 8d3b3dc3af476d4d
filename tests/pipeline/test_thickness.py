"""Thickness compared with the truth of phantoms on rotated, anisotropic grids."""

import numpy as np
import pytest

from bench.phantoms import ellipsoid, ellipsoid_errors, measured, slab_errors
from pipeline.anatomy import Structure
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Segmentation

AXES = {"sphere": (20.0, 20.0, 20.0), "ellipsoid": (22.0, 17.0, 26.0)}


@pytest.mark.slow
@pytest.mark.parametrize("thickness", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("axes", AXES.values(), ids=AXES)
def test_union_thickness_of_a_curved_plate_is_unbiased(axes, thickness):
    found = ellipsoid_errors(ellipsoid(axes, thickness, seed=7))["union"]
    assert abs(found.bias) <= 0.02
    assert found.rmse <= 0.05
    assert found.missed == 0


@pytest.mark.slow
@pytest.mark.parametrize("axes", AXES.values(), ids=AXES)
def test_cartilage_of_one_voxel_keeps_its_thickness(axes):
    found = ellipsoid_errors(ellipsoid(axes, 0.8, seed=3))["union"]
    assert abs(found.bias) <= 0.02
    assert found.missed <= 3


@pytest.mark.slow
@pytest.mark.parametrize("thickness", [1.0, 1.5, 3.0])
def test_union_thickness_of_a_flat_plate_is_unbiased_over_tilts(thickness):
    found = [slab_errors(thickness, seed)["union"] for seed in range(4)]
    assert abs(np.mean([e.bias for e in found])) <= 0.02
    assert np.sqrt(np.mean([e.rmse**2 for e in found])) <= 0.05


def test_two_crossing_misses_cartilage_thinner_than_its_gaussian():
    phantom = ellipsoid((20, 20, 20), 0.8, seed=1)
    found = ellipsoid_errors(phantom)
    assert found["two_crossing"].bias < -0.3
    assert found["two_crossing"].missed > 20


def test_two_crossing_agrees_with_union_on_thick_cartilage():
    found = ellipsoid_errors(ellipsoid((20, 20, 20), 3.0, seed=2))
    assert abs(found["two_crossing"].bias - found["union"].bias) <= 0.01


def test_cartilage_more_than_two_millimetres_off_is_not_in_contact():
    phantom = ellipsoid((12, 12, 12), 5.0, seed=4)
    segmentation = phantom.segmentation
    points = segmentation.grid.to_mm(np.indices(segmentation.grid.shape).reshape(3, -1).T)
    radius = np.linalg.norm(points - phantom.centre_mm, axis=1).reshape(segmentation.grid.shape)
    labels = segmentation.labels.copy()
    labels[(radius > 12) & (radius < 15)] = 0
    union, _ = measured(Segmentation(labels=labels, grid=segmentation.grid, model_id="phantom"))
    assert not (union.thickness_mm > 0).any()


def test_an_enclosed_patch_without_cartilage_is_denuded_with_thickness_zero():
    phantom = ellipsoid((20, 20, 20), 2.0, seed=5)
    segmentation = phantom.segmentation
    points = segmentation.grid.to_mm(np.indices(segmentation.grid.shape).reshape(3, -1).T) - phantom.centre_mm
    towards = points @ phantom.rotation[:, 0] / np.maximum(np.linalg.norm(points, axis=1), 1e-9)
    towards = towards.reshape(segmentation.grid.shape)
    labels = segmentation.labels.copy()
    cartilage = labels == Structure.FEMORAL_CARTILAGE
    labels[cartilage & (towards > np.cos(np.radians(15)))] = 0  # a lesion: cap of 15 degrees
    labels[cartilage & (towards < -np.cos(np.radians(80)))] = 0  # the bone outside the plate: cap of 80 degrees
    union, _ = measured(Segmentation(labels=labels, grid=segmentation.grid, model_id="phantom"))
    areas = union.surface.vertex_areas_mm2
    denuded = areas[union.thickness_mm == 0].sum()
    lesion = 2 * np.pi * 20**2 * (1 - np.cos(np.radians(15)))
    assert denuded == pytest.approx(lesion, rel=0.12)
    outside = areas[np.isnan(union.thickness_mm)].sum()
    assert outside == pytest.approx(2 * np.pi * 20**2 * (1 - np.cos(np.radians(80))), rel=0.05)


def test_a_cut_beside_a_bare_patch_adds_no_denuded_bone():
    """Bone bare between a patch and the cap that closes the cut: what lies beyond the border is not known."""
    phantom = ellipsoid((12, 12, 12), 2.0, seed=5)
    segmentation, grid = phantom.segmentation, phantom.segmentation.grid
    points = grid.to_mm(np.indices(grid.shape).reshape(3, -1).T) - phantom.centre_mm
    patch = np.cos(np.radians(50)) * grid.direction[:, 0] + np.sin(np.radians(50)) * grid.direction[:, 1]
    towards = points @ patch / np.maximum(np.linalg.norm(points, axis=1), 1e-9)
    bare = (towards > np.cos(np.radians(15))).reshape(grid.shape) & (segmentation.labels == Structure.FEMORAL_CARTILAGE)
    stop = (grid.shape[0], grid.shape[1], 75)  # 1 to 2 mm beyond the patch
    labels = np.ascontiguousarray(np.where(bare, 0, segmentation.labels)[:, :, : stop[2]].astype(np.uint8))
    union, _ = measured(Segmentation(labels=labels, grid=grid.crop((0, 0, 0), stop), model_id="phantom"))
    assert (union.thickness_mm > 0).any()
    assert not (union.thickness_mm == 0).any()


def test_a_patch_near_a_border_that_does_not_cut_the_bone_is_denuded():
    """One voxel beyond the bone the image ends, closer than the reach of the smoothing."""
    phantom = ellipsoid((12, 12, 12), 2.0, seed=5)
    segmentation, grid = phantom.segmentation, phantom.segmentation.grid
    points = grid.to_mm(np.indices(grid.shape).reshape(3, -1).T) - phantom.centre_mm
    towards = points @ grid.direction[:, 0] / np.maximum(np.linalg.norm(points, axis=1), 1e-9)
    cap = (towards > np.cos(np.radians(20))).reshape(grid.shape)
    bone_ends = int(np.nonzero(segmentation.labels == Structure.FEMUR)[2].max())
    stop = (grid.shape[0], grid.shape[1], bone_ends + 2)
    labels = np.where(cap & (segmentation.labels == Structure.FEMORAL_CARTILAGE), 0, segmentation.labels)
    # a second, larger bare area is the bone outside the plate
    labels[(towards < -0.2).reshape(grid.shape) & (labels == Structure.FEMORAL_CARTILAGE)] = 0
    labels = np.ascontiguousarray(labels[:, :, : stop[2]].astype(np.uint8))
    union, _ = measured(Segmentation(labels=labels, grid=grid.crop((0, 0, 0), stop), model_id="phantom"))
    denuded = union.surface.vertex_areas_mm2[union.thickness_mm == 0].sum()
    assert denuded == pytest.approx(2 * np.pi * 12**2 * (1 - np.cos(np.radians(20))), rel=0.12)


def test_a_gap_in_the_label_does_not_end_the_cartilage():
    phantom = ellipsoid((20, 20, 20), 3.0, seed=6)
    segmentation = phantom.segmentation
    points = segmentation.grid.to_mm(np.indices(segmentation.grid.shape).reshape(3, -1).T)
    radius = np.linalg.norm(points - phantom.centre_mm, axis=1).reshape(segmentation.grid.shape)
    labels = segmentation.labels.copy()
    labels[(radius > 21.2) & (radius < 21.9)] = 0
    union, _ = measured(Segmentation(labels=labels, grid=segmentation.grid, model_id="phantom"))
    assert np.median(union.thickness_mm) == pytest.approx(
        3.0, abs=0.2
    )  # the Gaussian is affected by the gap at its edges


def test_the_same_input_gives_bit_identical_numbers():
    segmentation = ellipsoid((11, 9, 13), 2.0, seed=8).segmentation
    first, second = (measured(segmentation) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.thickness_mm, b.thickness_mm, equal_nan=True)


def test_a_bone_without_cartilage_has_no_thickness():
    phantom = ellipsoid((20, 20, 20), 2.0, seed=9).segmentation
    bare = Segmentation(labels=(phantom.labels == Structure.FEMUR).astype(np.uint8), grid=phantom.grid, model_id="x")
    for item in thickness_maps(bone_surface(bare, Structure.FEMUR), bare, bare.labels, 0.3125):
        assert np.isnan(item.thickness_mm).all()
        assert not item.region.any()

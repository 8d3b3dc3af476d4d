"""Thickness compared with the truth of phantoms on rotated, anisotropic grids."""

import numpy as np
import pytest

from bench.phantoms import ellipsoid, ellipsoid_errors, measured, slab_errors
from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.surface import bone_surface
from pipeline.thickness import (
    BORDER_MM,
    MEET_MM,
    Contact,
    _last_inside,
    at_border,
    crop_to_cartilage,
    find_contact,
    plate_vertices,
    thickness_maps,
)
from pipeline.types import Segmentation, Surface

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


def test_thick_cartilage_of_a_small_bone_is_followed_to_its_end():
    union, two_crossing = measured(ellipsoid((6, 6, 6), 5.5, seed=3).segmentation)
    assert np.nanmean(union.thickness_mm) == pytest.approx(5.5, abs=0.1)
    assert np.nanmean(two_crossing.thickness_mm) == pytest.approx(5.5, abs=0.1)


@pytest.mark.parametrize(("gap", "last"), [(1, 3), (2, 5), (3, 8), (4, 12)])
def test_tissue_continues_after_gaps_of_a_length(gap, last):
    """Samples 2 and 3, then after 1, 2, and 3 empty ones."""
    inside = np.zeros((2, 14), dtype=bool)
    inside[0, [2, 3, 5, 8, 12]] = True
    assert _last_inside(inside, np.array([2, 0]), gap).tolist() == [last, 0]


def test_the_part_around_the_cartilage_contains_all_rays():
    labels = np.zeros((40, 40, 40), dtype=np.uint8)
    labels[10:30, 10:18, 10:30] = Structure.FEMUR
    labels[15:25, 18:21, 15:25] = Structure.FEMORAL_CARTILAGE
    grid = Grid(shape=(40, 40, 40), spacing_mm=(1.5, 0.4, 0.3), origin_mm=np.ones(3), direction=np.eye(3))
    knee = Segmentation(labels=labels, grid=grid, model_id="x")
    crop = crop_to_cartilage(Structure.FEMUR, knee, labels)
    assert crop is not None
    (start,) = np.rint(grid.to_index(crop.grid.to_mm([[0, 0, 0]]))).astype(int)
    for axis, (low, high) in enumerate(((15, 25), (18, 21), (15, 25))):
        reach = 2 * MEET_MM / grid.spacing_mm[axis]
        assert start[axis] == max(0, low - int(np.ceil(reach)))
        assert start[axis] + crop.grid.shape[axis] == min(40, high + int(np.ceil(reach)))
    here = tuple(slice(int(first), int(first) + size) for first, size in zip(start, crop.grid.shape, strict=True))
    assert (crop.bone == (labels[here] == Structure.FEMUR)).all()
    assert (crop.cartilage == (labels[here] == Structure.FEMORAL_CARTILAGE)).all()


def test_a_ray_through_thin_cartilage_does_not_measure_cartilage_on_the_other_side_of_the_notch():
    """Along y: bone to 15, a layer of one voxel, and 5 mm further a thick plate of the same bone."""
    labels = np.zeros((24, 48, 24), dtype=np.uint8)
    labels[2:-2, 4:16, 2:-2] = Structure.FEMUR
    labels[2:-2, 16, 2:-2] = Structure.FEMORAL_CARTILAGE
    labels[:, 34:44, :] = Structure.FEMORAL_CARTILAGE
    grid = Grid(shape=labels.shape, spacing_mm=(0.5, 0.3, 0.5), origin_mm=np.zeros(3), direction=np.eye(3))
    knee = Segmentation(labels=labels, grid=grid, model_id="x")
    regions = np.where(labels == Structure.FEMORAL_CARTILAGE, 12, 0).astype(np.uint8)
    surface = bone_surface(knee, Structure.FEMUR)
    union, two_crossing = thickness_maps(surface, knee, regions, 0.3125)
    x, y, z = surface.points_mm.T
    inner = (y > 4.0) & (x > 4) & (x < 8) & (z > 4) & (z < 8)
    assert inner.sum() > 20
    assert union.thickness_mm[inner] == pytest.approx(0.3, abs=0.05)
    assert (two_crossing.thickness_mm[inner] == 0).all()


def test_cartilage_in_the_first_slice_of_the_image_is_met():
    """Two vertices on the bone, whose rays enter cartilage at the corner of the image and beyond its border."""
    labels = np.zeros((12, 12, 12), dtype=np.uint8)
    labels[0:4, 0:4, 1] = Structure.FEMORAL_CARTILAGE
    labels[0:4, 0:4, 2:] = Structure.FEMUR
    grid = Grid(shape=(12, 12, 12), spacing_mm=(1.0, 1.0, 1.0), origin_mm=np.zeros(3), direction=np.eye(3))
    knee = Segmentation(labels=labels, grid=grid, model_id="x")
    crop = crop_to_cartilage(
        Structure.FEMUR, knee, np.where(labels == Structure.FEMORAL_CARTILAGE, 12, 0).astype(np.uint8)
    )
    surface = Surface(
        points_mm=grid.to_mm(np.array([[0, 0, 1.4], [0, -1.5, 1.4], [3, 3, 5.0]])),
        faces=np.zeros((0, 3), dtype=np.int64),
        normals=np.tile([-1.0, 0, 0], (3, 1)),
        vertex_areas_mm2=np.ones(3),
        structure=Structure.FEMUR,
    )
    assert crop is not None
    assert find_contact(surface, crop).label.tolist() == [12, 0, 0]


def sheet(rows, columns, shift=0):
    """Faces of a flat sheet of vertices, numbered row by row from `shift`."""
    at = np.arange(rows * columns).reshape(rows, columns) + shift
    a, b, c, d = at[:-1, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])


def test_the_plate_is_the_covered_part_and_the_bare_patches_inside_it():
    """A sheet of 9 x 9: covered from row 1 to 7, two bare patches in it; a second sheet is bare."""
    place = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0), [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    points = np.concatenate([place, place + np.array([0, 0, 50])])
    surface = Surface(
        points_mm=points,
        faces=np.concatenate([sheet(9, 9), sheet(9, 9, shift=81)]),
        normals=np.tile([0.0, 0, 1], (162, 1)),
        vertex_areas_mm2=np.full(162, 1.0),
        structure=Structure.FEMUR,
    )
    covered = np.zeros((9, 9), dtype=bool)
    covered[1:8, 1:8] = True
    covered[3, 3:5] = covered[6, 6] = False
    met = np.concatenate([covered.ravel(), np.zeros(81, dtype=bool)])
    label = np.where(met, np.where(points[:, 1] < 5, 12, 13), 0).astype(np.uint8)
    border = np.zeros(162, dtype=bool)
    inside, region = plate_vertices(surface, Contact(met=met, label=label), border)
    patches = {3 * 9 + 3: 12, 3 * 9 + 4: 12, 6 * 9 + 6: 13}
    assert set(np.flatnonzero(inside & ~met)) == set(patches)
    assert inside[met].all()
    assert {vertex: region[vertex] for vertex in patches} == patches
    border[6 * 9 + 6] = True
    inside, region = plate_vertices(surface, Contact(met=met, label=label), border)
    assert set(np.flatnonzero(inside & ~met)) == {3 * 9 + 3, 3 * 9 + 4}, "the other one reaches the border"
    assert region[6 * 9 + 6] == 0
    nowhere = Contact(met=np.zeros(162, dtype=bool), label=np.zeros(162, dtype=np.uint8))
    assert not plate_vertices(surface, nowhere, border)[0].any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_border_counts_where_the_bone_is_cut(axis):
    grid = Grid(shape=(20, 30, 40), spacing_mm=(1.5, 1.0, 0.5), origin_mm=np.zeros(3), direction=np.eye(3))
    size, spacing = grid.shape[axis], grid.spacing_mm[axis]
    index = np.full((6, 3), 9.0)
    reach = BORDER_MM / spacing  # the faces of the image are half a voxel outside the first and last centre
    index[:, axis] = [-0.5, reach - 0.6, reach - 0.4, size - 0.6 - reach, size - 0.4 - reach, size - 0.5]
    surface = Surface(
        points_mm=grid.to_mm(index),
        faces=np.zeros((0, 3), dtype=np.int64),
        normals=np.zeros((6, 3)),
        vertex_areas_mm2=np.ones(6),
        structure=Structure.FEMUR,
    )
    inner = [slice(3, 15)] * 3

    def near(start, stop):
        box = inner.copy()
        box[axis] = slice(start, stop)
        return at_border(surface, grid, tuple(box)).tolist()

    assert near(0, size) == [True, True, False, False, True, True]
    assert near(0, size - 1) == [True, True, False, False, False, False]
    assert near(1, size) == [False, False, False, False, True, True]
    assert near(1, size - 1) == [False] * 6

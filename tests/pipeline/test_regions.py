"""Compartments and sub-regions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipeline.alignment import align_knee
from pipeline.anatomy import Side, Structure
from pipeline.grid import Grid
from pipeline.measure import measure_thickness
from pipeline.regions import (
    TILT_DEG,
    WRAP_SHARE,
    _wrap_height,
    femoral_regions,
    split_compartments,
    subregions,
    tilted,
    without_menisci,
)
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Alignment, Segmentation
from tests.support.knees import coarse_knee, mirrored, tibia_unsplit


def parts(segmentation):
    alignment = align_knee(bone_surface(segmentation, Structure.FEMUR))
    return subregions(split_compartments(segmentation, alignment), alignment), alignment


def means(segmentation):
    """(structure, region) -> mean ThC."""
    regions, alignment = parts(segmentation)
    whole = split_compartments(segmentation, alignment)
    rows = [
        row
        for bone in (Structure.FEMUR, Structure.TIBIA, Structure.PATELLA)
        for item in thickness_maps(bone_surface(whole, bone), whole, regions, 0.3125)
        for row in measure_thickness(item)
    ]
    return {(r.method, r.structure, r.region): r.value for r in rows if (r.quantity, r.statistic) == ("ThC", "mean")}


def test_every_cartilage_voxel_has_one_region_and_nothing_else_has():
    knee = coarse_knee()
    regions, _ = parts(knee)
    assert ((regions > 0) == np.isin(knee.labels, [4, 5, 6, 7])).all()
    assert set(np.unique(regions)) == {0, 5, 6, 7, 11, 12, 13, 14, 15}


def test_regions_are_at_their_anatomical_positions():
    knee = coarse_knee()
    regions, alignment = parts(knee)
    centre = {
        label: alignment.to_reference(knee.grid.to_mm(np.argwhere(regions == label))).mean(axis=0)
        for label in (11, 12, 13, 14, 15)
    }
    medial, posterior = 0, 1
    assert centre[12][medial] > centre[11][medial] > centre[13][medial]
    assert centre[14][medial] > centre[15][medial]
    assert centre[11][posterior] < centre[12][posterior] < centre[14][posterior]
    assert centre[11][posterior] < centre[13][posterior] < centre[15][posterior]


@pytest.mark.parametrize("left", [False, True])
def test_menisci_of_one_label_are_divided_at_the_centre_of_the_tibia(left):
    knee = tibia_unsplit(mirrored(coarse_knee()) if left else coarse_knee())
    whole = mirrored(coarse_knee()) if left else coarse_knee()
    above = {}
    labels = knee.labels.copy()
    for meniscus, plate in (
        (Structure.MEDIAL_MENISCUS, Structure.MEDIAL_TIBIAL_CARTILAGE),
        (Structure.LATERAL_MENISCUS, Structure.LATERAL_TIBIAL_CARTILAGE),
    ):
        grown = ndimage.binary_dilation(whole.labels == plate, iterations=2) & (labels == 0)
        labels[grown] = Structure.MEDIAL_MENISCUS
        above[meniscus] = grown
    one_label = replace(knee, labels=labels)
    found = split_compartments(one_label, align_knee(bone_surface(one_label, Structure.FEMUR)))
    for meniscus, place in above.items():
        assert (found.labels[place] == meniscus).mean() > 0.97
    assert {Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS} <= set(found.boxes)
    assert not set(without_menisci(found).boxes) & {Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS}
    alone = split_compartments(knee, align_knee(bone_surface(knee, Structure.FEMUR)))
    assert np.array_equal(without_menisci(found).labels, alone.labels)


def test_given_lateral_menisci_keep_their_label_where_only_the_tibial_plates_share_one():
    knee = tibia_unsplit(coarse_knee())
    labels = knee.labels.copy()
    beside = ndimage.binary_dilation(labels == Structure.MEDIAL_TIBIAL_CARTILAGE) & (labels == 0)
    labels[beside] = Structure.MEDIAL_MENISCUS
    labels[:, :, : labels.shape[2] // 2][beside[:, :, : labels.shape[2] // 2]] = Structure.LATERAL_MENISCUS
    given = replace(knee, labels=labels)
    found = split_compartments(given, align_knee(bone_surface(given, Structure.FEMUR)))
    menisci = np.isin(labels, [Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS])
    assert np.array_equal(found.labels[menisci], labels[menisci])


def test_one_meniscus_beside_separate_plates_is_not_divided_at_its_own_middle():
    knee = coarse_knee()
    labels = knee.labels.copy()
    beside = ndimage.binary_dilation(labels == Structure.LATERAL_TIBIAL_CARTILAGE, iterations=2) & (labels == 0)
    labels[beside] = Structure.MEDIAL_MENISCUS
    given = replace(knee, labels=labels, compartments_apart=False)
    found = split_compartments(given, align_knee(bone_surface(given, Structure.FEMUR)))
    assert (found.labels[beside] == Structure.LATERAL_MENISCUS).mean() > 0.97
    assert np.array_equal(found.labels[~beside], knee.labels[~beside])


def test_weight_bearing_is_60_percent_of_the_distance_from_notch_to_end():
    """A horseshoe: an anterior bar, two straight legs towards posterior, no upward wrap."""
    lattice = np.stack(np.meshgrid(np.arange(-30, 30.1, 0.1), np.arange(-20, 40.1, 0.1), [0.0]), axis=-1)
    points = lattice.reshape(-1, 3)
    points = points[(points[:, 1] <= 0) | (np.abs(points[:, 0]) > 8)]
    found = femoral_regions(points, (0.1, 0.1))
    assert points[found == 11][:, 1].max() == pytest.approx(0.0, abs=0.25)
    assert points[found == 12][:, 1].max() == pytest.approx(24.0, abs=0.25)
    assert points[found == 14][:, 1].min() == pytest.approx(24.0, abs=0.25)
    legs = points[:, 1] > 1
    assert points[(found == 12) & legs][:, 0].min() == pytest.approx(8.0, abs=0.2)
    assert points[(found == 13) & legs][:, 0].max() == pytest.approx(-8.0, abs=0.2)


def test_the_pose_of_the_rules_is_tilted_backwards():
    turned = tilted(np.eye(3))
    assert turned @ turned.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1.0)
    superior = turned[2]
    assert np.degrees(np.arcsin(superior[1])) == pytest.approx(TILT_DEG), "the top moves towards posterior"


def lattice(medial, posterior, superior):
    return np.stack(np.meshgrid(medial, posterior, superior, indexing="ij"), axis=-1).reshape(-1, 3)


def test_cartilage_that_wraps_upwards_belongs_to_the_posterior_region():
    """A flat sole with an upright wall behind the notch, which is cut at 67 % of the way from its top to its mean."""
    sole = lattice(np.arange(-30, 30.1, 0.5), np.arange(-20, 40.1, 0.5), [0.0])
    sole = sole[(sole[:, 1] <= 0) | (np.abs(sole[:, 0]) > 8)]
    wall = lattice([20.0], [10.0], np.arange(0, 30.01, 0.01))
    points = np.concatenate([sole[sole[:, 1] != 10.0], wall])
    found = femoral_regions(points, (0.5, 0.5))
    height = wall[:, 2]
    frontal = np.abs(points[:, 1] - 10.0) < 0.25
    expected = WRAP_SHARE * points[frontal][:, 2].mean() + (1 - WRAP_SHARE) * 30.0
    assert expected == pytest.approx(0.67 * 15 + 0.33 * 30, abs=0.01)
    cut = found[-len(wall) :]
    assert height[cut == 12].max() == pytest.approx(expected, abs=0.02)
    assert height[cut == 14].min() == pytest.approx(expected, abs=0.02)


def test_the_notch_is_searched_in_the_central_60_percent_and_lies_in_the_middle_of_its_slice():
    """Slices of 2 mm; the notch is the one from 0.25 to 2.25 mm; a gap at 15 % of the width is no notch."""
    points = lattice(np.arange(-29.75, 30, 0.5), np.arange(-20, 40.1, 0.5), [0.0])
    medial, posterior, _ = points.T
    ends = np.where((medial > 0) & (medial < 2), 0.0, np.where((medial > -22) & (medial < -19), -15.0, 40.0))
    points = points[posterior <= ends]
    found = femoral_regions(points, (2.0, 0.5))
    assert points[found == 11][:, 1].max() == pytest.approx(-0.5), "the notch starts at 0"
    base = points[:, 1] == 0.0
    assert points[base & (found == 13)][:, 0].max() == pytest.approx(1.25)
    assert points[base & (found == 12)][:, 0].min() == pytest.approx(1.75)


@pytest.mark.parametrize("centre", [-11.0, 11.0])
def test_a_notch_beside_the_middle_of_the_plate_is_found(centre):
    points = lattice(np.arange(-29.75, 30, 0.5), np.arange(-20, 40.1, 0.5), [0.0])
    points = points[(points[:, 1] <= 0) | (np.abs(points[:, 0] - centre) > 1)]
    found = femoral_regions(points, (0.5, 0.5))
    assert points[found == 11][:, 1].max() == pytest.approx(-0.5)
    legs = points[:, 1] > 0
    assert points[(found == 12) & legs][:, 0].min() == pytest.approx(centre + 1.25)
    assert points[(found == 13) & legs][:, 0].max() == pytest.approx(centre - 1.25)


def test_a_single_voxel_is_its_own_mean_height():
    height = _wrap_height(np.array([0.0, 5.0, 5.1]), np.array([10.0, 4.0, 22.0]), 0.5)
    assert height == pytest.approx([0.67 * mean + 0.33 * 22 for mean in (10, 13, 13)])


def test_pieces_of_tibial_cartilage_are_whole_unless_both_sides_have_a_large_part():
    """Along x: a piece with 10 % beyond the centre stays whole, one with 50 % is cut there."""
    labels = np.zeros((10, 10, 100), dtype=np.uint8)
    labels[1, 1, 0], labels[1, 1, 99] = 5, 5  # the ends of the plateau: its centre is at 49.5
    labels[3, 3, 10:54] = 5
    labels[8, 8, 46:90] = 5
    labels[6, 6, 40:60] = 5
    grid = Grid(shape=labels.shape, spacing_mm=(1.0, 1.0, 1.0), origin_mm=np.zeros(3), direction=np.eye(3))
    alignment = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=1.0, residual_other_mm=2.0)
    plateau = Segmentation(labels=labels, grid=grid, model_id="x", compartments_apart=False)
    with np.errstate(all="raise"):
        split = split_compartments(plateau, alignment).labels
    assert (split[1, 1, 0], split[1, 1, 99]) == (6, 5)
    assert set(split[3, 3, 10:54]) == {6}
    assert set(split[8, 8, 46:90]) == {5}
    assert set(split[6, 6, 40:50]) == {6}
    assert set(split[6, 6, 50:60]) == {5}
    assert split_compartments(split_compartments(plateau, alignment), alignment).labels is not labels


def test_an_unsplit_tibial_plate_is_separated_by_anatomy():
    knee = coarse_knee()
    _, alignment = parts(knee)
    split = split_compartments(tibia_unsplit(knee), alignment)
    for label in (5, 6):
        a, b = split.labels == label, knee.labels == label
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.98
    assert split.compartments_apart


@pytest.mark.slow
def test_touching_tibial_plates_are_split_at_the_centre():
    knee = tibia_unsplit(coarse_knee())
    _, alignment = parts(knee)
    plates = np.argwhere(knee.labels == 5)
    points = alignment.to_reference(knee.grid.to_mm(plates))
    height, back = np.median(points[:, 2]), np.median(points[:, 1])
    index = np.argwhere(np.isin(knee.labels, [0, 2]))
    there = alignment.to_reference(knee.grid.to_mm(index))
    bridge = (np.abs(there[:, 2] - height) < 1) & (np.abs(there[:, 1] - back) < 2)
    bridge &= (there[:, 0] > points[:, 0].min()) & (there[:, 0] < points[:, 0].max())
    labels = knee.labels.copy()
    labels[tuple(index[bridge].T)] = 5
    joined = type(knee)(labels=labels, grid=knee.grid, model_id="x", compartments_apart=False)
    split = split_compartments(joined, alignment)
    medial, lateral = (split.labels[knee.labels == 5] == label for label in (5, 6))
    assert medial.mean() == pytest.approx(0.5, abs=0.15)
    assert lateral.mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_a_mirrored_knee_has_mirrored_regions_and_the_same_numbers():
    knee = coarse_knee()
    regions, _ = parts(knee)
    other, _ = parts(mirrored(knee))
    assert (other[:, :, ::-1] == regions).mean() > 0.99999
    here, there = means(knee), means(mirrored(knee))
    assert len(here) == 2 * 10
    for key, value in here.items():
        assert there[key] == pytest.approx(value, abs=1e-3), key

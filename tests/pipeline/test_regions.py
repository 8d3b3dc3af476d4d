"""Compartments and sub-regions."""

import numpy as np
import pytest

from pipeline.alignment import align_knee
from pipeline.anatomy import Structure
from pipeline.measure import measure_thickness
from pipeline.regions import femoral_regions, split_tibial_cartilage, subregions
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from tests.support.knees import coarse_knee, mirrored, tibia_unsplit


def parts(segmentation):
    alignment = align_knee(bone_surface(segmentation, Structure.FEMUR))
    return subregions(split_tibial_cartilage(segmentation, alignment), alignment), alignment


def means(segmentation):
    """(structure, region) -> mean ThC."""
    regions, alignment = parts(segmentation)
    whole = split_tibial_cartilage(segmentation, alignment)
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


def test_an_unsplit_tibial_plate_is_separated_by_anatomy():
    knee = coarse_knee()
    _, alignment = parts(knee)
    split = split_tibial_cartilage(tibia_unsplit(knee), alignment)
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
    split = split_tibial_cartilage(joined, alignment)
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

"""Rows of the tidy table."""

import math

import numpy as np
import pytest

from bench.phantoms import ellipsoid, measured
from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.measure import Findings, measure_knee, measure_thickness, measure_volumes
from pipeline.quantities import Method
from pipeline.rows import weighted_statistics
from pipeline.types import Segmentation, Surface, ThicknessMap


def test_statistics_are_weighted_by_area():
    found = weighted_statistics(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 2.0]))
    assert found["mean"] == pytest.approx(2.75)
    assert found["std"] == pytest.approx(math.sqrt((1.75**2 + 0.75**2 + 2 * 1.25**2) / 4))
    assert found["median"] == 2.0


def test_the_median_has_half_of_the_area_on_each_side():
    assert weighted_statistics(np.array([5.0, 1.0, 4.0, 2.0, 3.0]), np.full(5, 0.1))["median"] == 3.0
    assert weighted_statistics(np.array([5.0, 1.0, 4.0, 2.0, 3.0]), np.array([9.0, 1, 1, 1, 1]))["median"] == 5.0


def test_a_missing_value_is_nan_not_zero():
    assert all(math.isnan(v) for v in weighted_statistics(np.array([]), np.array([])).values())
    assert all(math.isnan(v) for v in weighted_statistics(np.array([2.0]), np.array([0.0])).values())


def thickness_of(values, regions, areas):
    """A map on a femur whose vertices have these values, regions and areas."""
    n = len(values)
    surface = Surface(
        points_mm=np.zeros((n, 3)),
        faces=np.zeros((0, 3), dtype=np.int64),
        normals=np.zeros((n, 3)),
        vertex_areas_mm2=np.array(areas, dtype=float),
        structure=Structure.FEMUR,
    )
    return ThicknessMap(
        surface=surface,
        thickness_mm=np.array(values, dtype=float),
        region=np.array(regions, dtype=np.uint8),
        method=Method.UNION,
    )


def test_denuded_bone_has_thickness_zero_and_is_no_covered_area():
    """Region 12 is half bare; region 15 is covered by thin cartilage; the last vertices are outside the plate."""
    found = thickness_of([2.0, 0.0, 0.4, np.nan, 3.0], [12, 12, 15, 12, 0], [1.0, 3.0, 4.0, 9.0, 9.0])
    rows = {(r.quantity, r.region, r.statistic): (r.value, r.n) for r in measure_thickness(found)}
    part = "medial_weight_bearing"
    assert rows["ThC", part, "mean"] == (2.0, 1)
    assert rows["ThCtAB", part, "mean"] == (0.5, 2)
    assert rows["tAB", part, "total"] == (4.0, 2)
    assert rows["dAB", part, "share"] == (75.0, 2)
    assert rows["ThC", "lateral_posterior", "mean"] == (pytest.approx(0.4), 1)
    assert rows["dAB", "lateral_posterior", "share"] == (0.0, 1)
    assert rows["ThC", "all", "mean"] == (pytest.approx((2.0 + 4 * 0.4) / 5), 2)
    assert rows["tAB", "all", "total"] == (8.0, 3)
    assert rows["dAB", "all", "share"] == (37.5, 3)
    assert math.isnan(rows["dAB", "anterior", "share"][0])
    assert rows["dAB", "anterior", "share"][1] == 0


def test_menisci_have_a_volume_where_they_were_segmented():
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[2:4, 2:5, 2:6] = Structure.MEDIAL_MENISCUS
    labels[2, 2, 2] = Structure.FEMUR
    grid = Grid(shape=(10, 10, 10), spacing_mm=(0.5, 0.4, 1.0), origin_mm=np.zeros(3), direction=np.eye(3))
    knee = Segmentation(labels=labels, grid=grid, model_id="x")
    rows = measure_knee(Findings(segmentation=knee, subregions=np.zeros_like(labels), thickness=()))
    found = {r.structure: (r.value, r.n) for r in rows if r.n}
    assert found == {Structure.MEDIAL_MENISCUS.key: (pytest.approx(23 * 0.2), 23)}


def test_a_plate_around_a_whole_sphere_has_its_area_and_no_denuded_bone():
    phantom = ellipsoid((20, 20, 20), 2.0, seed=1)
    union, _ = measured(phantom.segmentation)
    rows = {(r.quantity, r.region, r.statistic): r for r in measure_thickness(union)}
    assert rows["ThC", "all", "mean"].value == pytest.approx(2.0, abs=0.02)
    assert rows["ThCtAB", "all", "mean"].value == pytest.approx(rows["ThC", "all", "mean"].value)
    assert rows["tAB", "all", "total"].value == pytest.approx(4 * np.pi * 400, rel=0.01)
    assert rows["dAB", "all", "share"].value == pytest.approx(0.0, abs=0.01)
    assert rows["ThC", "anterior", "mean"].n == 0
    assert math.isnan(rows["ThC", "anterior", "mean"].value)


def test_volume_is_voxels_times_their_size_and_regions_add_up():
    phantom = ellipsoid((20, 20, 20), 2.0, seed=2)
    parts = np.zeros_like(phantom.segmentation.labels)
    cartilage = np.argwhere(phantom.segmentation.labels == 4)
    parts[tuple(cartilage.T)] = np.where(cartilage[:, 0] < cartilage[:, 0].mean(), 12, 15)
    rows = {
        r.region: r.value for r in measure_volumes(phantom.segmentation, parts) if r.structure == "femoral_cartilage"
    }
    assert rows["all"] == pytest.approx(4 / 3 * np.pi * (22**3 - 20**3), rel=0.01)
    assert rows["medial_weight_bearing"] + rows["lateral_posterior"] == pytest.approx(rows["all"])

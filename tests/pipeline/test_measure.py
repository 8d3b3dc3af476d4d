"""Rows of the tidy table."""

import math

import numpy as np
import pytest

from bench.phantoms import ellipsoid, measured
from pipeline.measure import measure_thickness, measure_volumes, weighted_statistics


def test_statistics_are_weighted_by_area():
    found = weighted_statistics(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 2.0]))
    assert found["mean"] == pytest.approx(2.75)
    assert found["std"] == pytest.approx(math.sqrt((1.75**2 + 0.75**2 + 2 * 1.25**2) / 4))
    assert found["median"] == 2.0


def test_a_missing_value_is_nan_not_zero():
    assert all(math.isnan(v) for v in weighted_statistics(np.array([]), np.array([])).values())


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

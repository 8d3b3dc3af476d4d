"""Geometry of voxels."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.grid import Grid


def oblique() -> Grid:
    return Grid(
        shape=(12, 30, 20),
        spacing_mm=(0.7, 0.3645833432674408, 0.4),
        origin_mm=np.array([10.5, -20.25, 31.125]),
        direction=Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() @ np.diag([1, -1, 1]),
    )


def test_indices_and_points_are_inverse():
    grid = oblique()
    index = np.random.default_rng(0).uniform(-3, 30, (100, 3))
    assert grid.to_index(grid.to_mm(index)) == pytest.approx(index, abs=1e-9)


def test_the_last_array_axis_runs_along_the_first_direction_column():
    grid = oblique()
    step = grid.to_mm([[0, 0, 1]])[0] - grid.to_mm([[0, 0, 0]])[0]
    assert step == pytest.approx(grid.direction[:, 0] * grid.spacing_mm[2])


def test_a_crop_keeps_voxel_positions():
    grid = oblique()
    cropped = grid.crop((2, 3, 4), (10, 20, 15))
    assert cropped.shape == (8, 17, 11)
    assert cropped.to_mm([[1, 2, 3]]) == pytest.approx(grid.to_mm([[3, 5, 7]]))


def test_json_preserves_the_geometry_exactly():
    grid = oblique()
    again = Grid.from_dict(json.loads(json.dumps(grid.to_dict())))
    assert np.array_equal(again.affine, grid.affine)


def test_grids_match_within_a_tolerance_only():
    grid = oblique()
    moved = Grid(
        shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=grid.origin_mm + 0.01, direction=grid.direction
    )
    assert grid.matches(moved, tolerance_mm=0.1)
    assert not grid.matches(moved, tolerance_mm=0.001)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (0.0, 1.0, 1.0)},
        {"shape": (0, 3, 3)},
        {"direction": np.ones((3, 3))},
        {"origin_mm": np.array([np.nan, 0, 0])},
    ],
)
def test_an_invalid_geometry_is_rejected(change):
    good = {"shape": (2, 3, 4), "spacing_mm": (1.0, 1.0, 1.0), "origin_mm": np.zeros(3), "direction": np.eye(3)}
    with pytest.raises(ValueError, match=next(iter(change))):
        Grid(**good | change)

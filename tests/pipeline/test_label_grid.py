"""Label maps on another grid than their scan."""

import itertools

import numpy as np
import pytest

from pipeline.errors import UnsupportedImage
from pipeline.grid import Grid
from pipeline.label_grid import on_grid
from pipeline.types import LabelMap
from tests.support.report_phantom import rotation

GRID = Grid(
    shape=(12, 15, 18),
    spacing_mm=(3.0, 0.7, 0.5),
    origin_mm=np.array([4.0, -20.0, 7.0]),
    direction=rotation(20, (0.3, 1.0, -0.2)),
)
LABELS = np.random.default_rng(3).integers(0, 5, GRID.shape).astype(np.uint16)


def stored(order, flips):
    """LABELS with its axes in another order and direction, at the same places."""
    labels = np.transpose(LABELS, order)
    first = np.zeros(3)
    sign = np.ones(3)
    for axis in flips:
        labels = np.flip(labels, axis)
        first[order[axis]] = GRID.shape[order[axis]] - 1
        sign[axis] = -1
    columns = GRID.direction[:, ::-1][:, list(order)] * sign
    grid = Grid(
        shape=labels.shape,
        spacing_mm=tuple(GRID.spacing_mm[axis] for axis in order),
        origin_mm=GRID.to_mm([first])[0],
        direction=columns[:, ::-1],
    )
    return LabelMap(labels=np.ascontiguousarray(labels), grid=grid)


def moved(shift_mm, *, spacing=GRID.spacing_mm, labels=LABELS):
    grid = Grid(shape=labels.shape, spacing_mm=spacing, origin_mm=GRID.origin_mm + shift_mm, direction=GRID.direction)
    return LabelMap(labels=labels, grid=grid)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_a_map_stored_with_other_axes_is_reordered_without_loss(order, flips):
    found = on_grid(stored(order, flips), GRID)
    assert np.array_equal(found.labels, LABELS)
    assert found.grid is GRID
    assert found.warnings == ()


def test_rounding_is_no_difference():
    found = on_grid(moved(0.04), GRID)
    assert np.array_equal(found.labels, LABELS)
    assert found.grid is GRID


def test_on_request_a_shifted_map_is_resampled_with_nearest_neighbour():
    inner = np.zeros_like(LABELS)
    inner[2:-2, 2:-2, 2:-2] = LABELS[2:-2, 2:-2, 2:-2] + 1
    found = on_grid(moved(GRID.direction @ [0.3, 0, 0], labels=inner), GRID, resample=True)  # 0.6 voxels along x
    assert np.array_equal(found.labels[..., 1:], inner[..., :-1])
    assert found.grid is GRID
    (warning,) = found.warnings
    assert "nearest neighbour" in warning
    assert "0.30 mm along x" in warning


def test_a_map_of_another_place_is_not_resampled():
    with pytest.raises(UnsupportedImage, match="of the labelled volume is outside the scan"):
        on_grid(moved(GRID.direction @ [4.2, 0, 0]), GRID, resample=True)


def test_half_a_voxel_is_refused_with_the_distance_in_mm():
    with pytest.raises(UnsupportedImage, match=r"0\.25 mm along x off that of the scan") as refused:
        on_grid(moved(GRID.direction @ [0.25, 0, 0]), GRID)
    assert "12 x 15 x 18 voxels of 3 x 0.7 x 0.5 mm" in refused.value.message
    assert "nearest neighbour" in refused.value.hint


def test_another_spacing_is_refused_with_both():
    with pytest.raises(UnsupportedImage, match=r"voxels of 3 x 0\.7 x 0\.6 mm, scan .* of 3 x 0\.7 x 0\.5 mm"):
        on_grid(moved(0.0, spacing=(3.0, 0.7, 0.6)), GRID)


def test_an_oblique_map_is_refused():
    turned = Grid(
        shape=GRID.shape,
        spacing_mm=GRID.spacing_mm,
        origin_mm=GRID.origin_mm,
        direction=rotation(10, (1, 0, 0)) @ GRID.direction,
    )
    with pytest.raises(UnsupportedImage, match="other directions"):
        on_grid(LabelMap(labels=LABELS, grid=turned), GRID)


def test_a_part_of_the_scan_is_placed_by_its_position():
    part = LabelMap(labels=LABELS[2:9, 3:, 4:12], grid=GRID.crop((2, 3, 4), (9, 15, 12)))
    found = on_grid(part, GRID)
    expected = np.zeros_like(LABELS)
    expected[2:9, 3:, 4:12] = LABELS[2:9, 3:, 4:12]
    assert np.array_equal(found.labels, expected)
    assert "covers 21 % of the scan" in found.warnings[0].replace("%", " %")


def test_a_map_larger_than_the_scan_is_cropped_only_where_it_is_empty():
    larger = GRID.crop((-2, 0, -1), (13, 15, 18))
    labels = np.zeros(larger.shape, dtype=np.uint16)
    labels[2:14, :, 1:] = LABELS
    assert np.array_equal(on_grid(LabelMap(labels=labels, grid=larger), GRID).labels, LABELS)
    labels[0, 0, 0] = 1
    with pytest.raises(UnsupportedImage, match="1 of its labelled voxels are outside the scan"):
        on_grid(LabelMap(labels=labels, grid=larger), GRID)

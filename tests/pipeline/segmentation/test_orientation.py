"""Conversion of a scan to a network's axes: permuted and flipped, never resampled."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from pipeline.grid import Grid, axes_of
from pipeline.segmentation.orientation import nearest_order

_TILT = np.radians(12.0)
TILTED = np.array([[np.cos(_TILT), -np.sin(_TILT), 0], [np.sin(_TILT), np.cos(_TILT), 0], [0, 0, 1.0]])


def _grid(order: tuple[int, ...], signs: tuple[int, ...]) -> Grid:
    """A tilted grid whose array axis k runs along +-LPS axis order[k]; the spacing identifies the axes."""
    columns = TILTED[:, order] * np.array(signs)  # column k: array axis k
    spacing = tuple((0.7, 0.4, 0.5)[axis] for axis in order)
    shape = tuple((5, 6, 7)[axis] for axis in order)
    return Grid(shape=shape, spacing_mm=spacing, origin_mm=np.zeros(3), direction=columns[:, ::-1])


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_the_network_input_does_not_depend_on_the_storage_order(order, signs) -> None:
    grid = _grid(order, signs)
    found = nearest_order(grid, "RAS")
    # the position along the tilted patient axes must decrease with R and A, and increase with S
    index = np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3)
    along = (grid.to_mm(index) @ TILTED).reshape(*grid.shape, 3)
    for axis, (lps, sign) in enumerate(((0, -1), (1, -1), (2, 1))):
        steps = np.diff(found.to_network(along[..., lps]), axis=axis)
        assert np.allclose(steps, sign * (0.7, 0.4, 0.5)[lps])
    assert found.spacing_mm(grid) == (0.7, 0.4, 0.5)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_round_trip_gives_the_same_array(order) -> None:
    grid = _grid(order, (1, -1, -1))
    array = np.random.default_rng(0).integers(0, 9, grid.shape)
    for code in ("RAS", "RIP", "SAL"):
        found = nearest_order(grid, code)
        assert np.array_equal(found.from_network(found.to_network(array)), array)


@pytest.mark.parametrize("code", ["", "RA", "RRS", "RLS", "RAX", "rasp"])
def test_a_code_without_three_directions_is_rejected(code: str) -> None:
    with pytest.raises(ValueError, match="axis code"):
        axes_of(code)

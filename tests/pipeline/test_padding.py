"""Padding of a scan changes no number, and a bone that ends at padding is cut by the field of view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import NO_PLANES, Grid
from pipeline.padding import padding_of, without_padding, without_planes
from pipeline.types import Scan, Segmentation

PLANES = ((2, 0), (0, 3), (4, 1))
SHAPE = (6, 7, 8)


def scan_of(echoes: np.ndarray) -> Scan:
    grid = Grid(
        shape=echoes.shape[1:], spacing_mm=(3.0, 0.5, 0.4), origin_mm=np.array([5.0, -7.0, 11.0]), direction=np.eye(3)
    )
    return Scan(echoes=echoes.astype(np.float32), grid=grid)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(3).uniform(1, 100, (2, *SHAPE))


@pytest.mark.parametrize("value", [0.0, -1024.0, 7.5])
def test_padding_of_any_value_is_found_and_left_out_in_place(noise: np.ndarray, value: float) -> None:
    padded = scan_of(np.pad(noise, ((0, 0), *PLANES), constant_values=value))
    assert padding_of(padded) == PLANES
    found = without_planes(padded, PLANES)
    assert np.array_equal(found.echoes, noise.astype(np.float32))
    assert np.allclose(found.grid.to_mm([[0, 0, 0]]), padded.grid.to_mm([[2, 0, 4]]))
    assert found.grid.extended(PLANES).matches(padded.grid, tolerance_mm=1e-9)


def test_planes_inside_the_image_are_no_padding(noise: np.ndarray) -> None:
    noise = noise.copy()
    noise[:, 3] = 0
    assert padding_of(scan_of(noise)) == NO_PLANES


def test_a_plane_that_is_empty_in_one_echo_alone_is_no_padding(noise: np.ndarray) -> None:
    noise = noise.copy()
    noise[0, 0] = 0
    assert padding_of(scan_of(noise)) == NO_PLANES


def test_an_image_of_one_value_has_no_padding() -> None:
    assert padding_of(scan_of(np.ones((1, *SHAPE)))) == NO_PLANES


def test_labels_in_the_padding_keep_their_planes(noise: np.ndarray) -> None:
    padded = scan_of(np.pad(noise, ((0, 0), *PLANES)))
    labels = np.zeros(padded.grid.shape, dtype=np.uint8)
    labels[3:5, 2:5, 6:9] = Structure.FEMUR
    inside = Segmentation(labels=labels, grid=padded.grid, model_id="drawn")
    assert without_padding(inside, padded).padding == PLANES
    labels = labels.copy()
    labels[1:5, 2:5, 3:9] = Structure.FEMUR
    found = without_padding(replace(inside, labels=labels), padded)
    assert found.padding == ((1, 0), (0, 3), (3, 1))
    assert np.array_equal(np.pad(found.labels, found.padding), labels)
    assert found.scan_grid.matches(padded.grid, tolerance_mm=1e-9)

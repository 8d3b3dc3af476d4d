"""Overlapping windows: full coverage, weights that sum to 1, and slabs that join seamlessly."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.segmentation.windows import averaged, plan, plan_axis, window_count


@pytest.mark.parametrize("count", [5, 16, 17, 127, 128, 129, 200, 221, 571])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_windows_cover_every_voxel_and_weights_sum_to_one(count: int, overlap: float) -> None:
    axis = plan_axis(count, 128, overlap)
    assert axis.size % 16 == 0
    assert axis.starts[0] == 0
    total = np.zeros(max(count, axis.size))
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        assert weights.min() >= 0
        total[start : start + axis.size] += weights
    assert np.allclose(total[:count], 1, atol=1e-6)
    assert len(total) == axis.starts[-1] + axis.size


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_neighbouring_windows_have_the_minimum_overlap(overlap: float) -> None:
    for count in range(129, 600, 7):
        axis = plan_axis(count, 128, overlap)
        assert max(np.diff(axis.starts)) <= 128 * (1 - overlap) + 1  # rounding to whole voxels


def test_averaging_a_voxelwise_network_changes_nothing() -> None:
    volume = np.random.default_rng(1).random((75, 41, 60), dtype=np.float32)
    axes = plan(volume.shape, 32, 0.25)
    asked = []

    def identity(window: np.ndarray) -> np.ndarray:
        assert window.shape == (1, 32, 32, 32)
        return np.concatenate([window, 1 - window])

    slabs = [(row, slab.copy()) for row, slab in averaged(volume[None], axes, 2, identity, lambda: asked.append(1))]
    assert [start for start, _ in slabs] == list(np.cumsum([0, *[s.shape[1] for _, s in slabs]])[:-1])
    joined = np.concatenate([slab for _, slab in slabs], axis=1)
    assert len(asked) == window_count(axes) > 8
    assert np.allclose(joined[0], volume, atol=1e-6)
    assert np.allclose(joined.sum(axis=0), 1, atol=1e-6)


def test_a_volume_smaller_than_a_window_is_padded_with_its_darkest_value() -> None:
    volume = np.random.default_rng(2).random((20, 16, 33), dtype=np.float32) + 3
    seen = []

    def network(window: np.ndarray) -> np.ndarray:
        seen.append(window[0])
        return window

    ((start, slab),) = averaged(volume[None], plan(volume.shape, 128, 0.25), 1, network, lambda: None)
    assert (start, seen[0].shape) == (0, (32, 16, 48))
    assert np.all(seen[0][20:] == volume.min())
    assert np.array_equal(slab[0], volume)


@pytest.mark.parametrize("at_once", [2, 5])
def test_windows_at_the_same_time_give_the_same_values(at_once: int) -> None:
    volume = np.random.default_rng(3).normal(size=(70, 60, 40)).astype(np.float32)
    axes = plan(volume.shape, 32, 0.25)

    def slow_at_first(window: np.ndarray) -> np.ndarray:
        time.sleep(float(abs(window[0, 0, 0, 0])) % 0.01)  # they end in another order than they begin
        return np.stack([window[0], 1 - window[0] ** 2])

    def found(number: int) -> list[tuple[int, np.ndarray]]:
        slabs = averaged(volume[None], axes, 2, slow_at_first, lambda: None, number)
        return [(row, slab.copy()) for row, slab in slabs]

    for (row, slab), (expected_row, expected) in zip(found(at_once), found(1), strict=True):
        assert row == expected_row
        assert np.array_equal(slab, expected)


def test_a_window_that_fails_ends_the_others() -> None:
    volume = np.zeros((64, 64, 64), dtype=np.float32)
    asked = []

    def failing(window: np.ndarray) -> np.ndarray:
        asked.append(1)
        raise ModelError("The network failed.")

    axes = plan(volume.shape, 16, 0.25)
    with pytest.raises(ModelError):
        list(averaged(volume[None], axes, 1, failing, lambda: None, 2))
    assert len(asked) <= 4 < window_count(axes)

"""Registration recovers known transformations."""

from __future__ import annotations

import numpy as np
import pytest

from training.registration import MIRROR, KernelWarp, align_either_side, apply, fit_similarity, trees_of

pytestmark = pytest.mark.slow


@pytest.fixture
def bent_shape() -> dict[str, np.ndarray]:
    """Two point clouds on surfaces without mirror symmetry."""
    rng = np.random.default_rng(1)
    turn = rng.uniform(0, 2 * np.pi, 3000)
    along = rng.uniform(-1, 1, 3000)
    radius = 14 + 5 * np.cos(turn + 2.5 * along) + 3 * np.cos(2 * turn)
    upper = np.c_[radius * np.cos(turn), 1.4 * radius * np.sin(turn), 40 * along + 30 + 6 * np.sin(turn)]
    lower = np.c_[0.9 * radius * np.sin(turn), radius * np.cos(turn + along), 25 * along - 40]
    return {"upper": upper, "lower": lower}


def similarity(angle: float, scale: float, shift: tuple[float, float, float]) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(4)
    matrix[:3, :3] = scale * np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix[:3, 3] = shift
    return matrix


def test_a_similarity_is_recovered_from_matched_points() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    truth = similarity(2.0, 1.3, (5, -40, 12))
    assert np.allclose(fit_similarity(points, apply(truth, points)), truth, atol=1e-10)


def test_a_mirror_image_is_never_fitted_as_a_rotation() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert np.linalg.det(fit_similarity(points, points @ MIRROR)[:3, :3]) > 0


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_lower_residual_identifies_the_side_and_the_transform(bent_shape, mirrored: bool) -> None:
    truth = similarity(0.2, 1.1, (30, -20, 8))
    handed = MIRROR if mirrored else np.eye(3)
    moving = {key: apply(truth, p[::3] @ handed) for key, p in bent_shape.items()}
    same, same_mm, other, other_mm = align_either_side(moving, bent_shape)
    assert (other_mm < same_mm) == mirrored
    assert min(same_mm, other_mm) < 0.05
    assert max(same_mm, other_mm) > 1.0
    found = other if mirrored else same
    home = np.concatenate([apply(found, moving[key]) - p[::3] for key, p in bent_shape.items()])
    assert np.abs(home).max() < 0.2


def test_a_warp_recovers_a_smooth_bend_and_vanishes_far_from_points(bent_shape) -> None:
    def bend(p: np.ndarray) -> np.ndarray:
        return p + np.c_[2.0 * np.sin(p[:, 2] / 25), 1.5 * np.cos(p[:, 2] / 30), 0 * p[:, 0]]

    fixed = {key: bend(p) for key, p in bent_shape.items()}
    warp = KernelWarp(np.full(3, -90.0), np.full(3, 90.0), cell_mm=4.0)
    moving = {key: p[::4] for key, p in bent_shape.items()}
    warp.fit(moving, trees_of(fixed), widths_mm=(20.0, 12.0, 8.0, 8.0), reach_mm=8.0)
    trees = trees_of(fixed)
    before = np.mean([trees[k].query(p)[0].mean() for k, p in moving.items()])
    after = np.mean([trees[k].query(p + warp.at(p))[0].mean() for k, p in moving.items()])
    assert after < 0.35 * before
    assert np.abs(warp.at(np.array([[85.0, 85.0, 85.0]]))).max() < 1e-3


def test_a_warp_on_axes_equals_the_warp_at_points() -> None:
    warp = KernelWarp(np.array([-10.0, -20.0, 5.0]), np.array([30.0, 10.0, 40.0]), cell_mm=7.0)
    warp.displacement[:] = np.random.default_rng(0).normal(size=warp.displacement.shape)
    x, y, z = np.linspace(-12, 33, 9), np.linspace(-21, 12, 7), np.linspace(4, 44, 5)
    places = np.stack(np.broadcast_arrays(x, y[:, None], z[:, None, None]), -1)
    at = warp.at(places.reshape(-1, 3)).reshape(places.shape)
    assert np.allclose(warp.on_axes(x, y, z), at, atol=1e-5)

"""Training of the edge networks: rays cross the labelled structures, and errors are given in mm."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.segmentation.edges.network import ANSWERS, Ensemble, read_ensemble, write_ensemble
from pipeline.segmentation.edges.profiles import DEPTHS_MM, FEATURES, STEP_MM, Profiles
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.types import Resources
from tests.support.knees import joint_of, turned_knee
from training.edges.errors import edge_errors, first_pass_errors
from training.edges.examples import collect, is_held_out, load, read_surfaces, surfaces
from training.edges.synthesize import EXTENT_MM, THIN_MM, SyntheticJoint, generate, synthesize
from training.edges.vary import varied
from training.generator.anatomy import Condition, make_anatomy
from training.knee_unet.specimen import (
    BONE_CLASSES,
    CARTILAGE_CLASSES,
    CLASS_COUNT,
    NETWORK_CLASS_COUNT,
    make_specimen,
)

SMALL = (104, 96, 104)


@cache
def joint() -> SyntheticJoint:
    return synthesize(make_specimen(joint_of(turned_knee()), "turned", seed=3), np.random.default_rng(4), SMALL)


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("joints") / "001_00000.npz"
    model = knee_unet()
    counts = collect(joint(), model.load(Resources(threads=1)), model, path)
    assert sum(counts) > 1000
    return path


@pytest.mark.slow
def test_a_synthetic_joint_is_an_image_with_class_fractions_per_voxel() -> None:
    assert joint().image.shape == SMALL
    assert joint().targets.shape == (CLASS_COUNT, *SMALL)
    assert np.allclose(joint().targets.sum(axis=0), 1.0, atol=1e-5)
    for classes in (BONE_CLASSES, CARTILAGE_CLASSES):
        assert joint().targets[list(classes)].sum() > 1000


@pytest.mark.slow
def test_a_generated_joint_has_the_voxels_of_its_scan_and_rays_meet_its_cartilage(tmp_path: Path) -> None:
    anatomy = make_anatomy(joint_of(turned_knee()), Condition(), 1, voxel_mm=1.2)
    found = generate(anatomy, np.random.default_rng(8))
    assert found.targets.shape == (NETWORK_CLASS_COUNT, *found.image.shape)
    assert np.allclose(np.array(found.spacing_mm) * found.image.shape, EXTENT_MM, atol=max(found.spacing_mm))
    assert max(found.spacing_mm) <= THIN_MM[1]
    model = knee_unet()
    counts = collect(found, model.load(Resources(threads=1)), model, tmp_path / "001_00000.npz")
    surface = read_surfaces(tmp_path / "001_00000.npz")[0]
    assert counts[0] == len(surface.rays) > 500
    assert surface.spacing_mm == pytest.approx(found.spacing_mm)
    thickest = DEPTHS_MM[surface.truth[:, 1].mean(axis=0).argmax()]
    assert 0.0 < thickest < 3.0


def test_surfaces_are_three_bones_each_with_its_own_cartilage() -> None:
    bones, cartilages = zip(*surfaces(), strict=True)
    assert set(bones) == set(BONE_CLASSES)
    assert set(cartilages) == set(CARTILAGE_CLASSES)
    assert list(bones) == sorted(bones)


@pytest.mark.slow
def test_along_a_ray_follow_bone_cartilage_and_remainder(collected) -> None:
    found = read_surfaces(collected)
    assert found
    truth = np.concatenate([surface.truth for surface in found])
    assert truth.shape[1:] == (ANSWERS, len(DEPTHS_MM))
    assert np.allclose(truth.sum(axis=1), 1.0, atol=1e-5)
    assert truth[:, 0, 0].mean() > 0.8
    assert truth[:, 2, -1].mean() > truth[:, 2, 0].mean() + 0.3
    thickest = DEPTHS_MM[truth[:, 1].mean(axis=0).argmax()]
    assert 0.2 < thickest < 2.5
    assert all(surface.features().shape == (len(surface.truth), FEATURES) for surface in found)


@pytest.mark.slow
def test_the_first_pass_has_errors_and_the_truth_has_none(collected) -> None:
    some = load([collected], np.random.default_rng(0))
    assert 0.05 < first_pass_errors(some).outer_mm < 2.0
    truth = some.truth / np.maximum(some.truth.sum(axis=1, keepdims=True), 1).astype(np.float32)
    perfect = edge_errors(truth, truth)
    assert (perfect.inner_mm, perfect.outer_mm) == (0.0, 0.0)


def test_errors_are_in_mm_with_sign() -> None:
    def answer(inner: float, outer: float) -> np.ndarray:
        below = [np.clip(0.5 - (DEPTHS_MM - edge) / 0.25, 0, 1) for edge in (inner, outer)]
        return np.stack([below[0], below[1] - below[0], 1 - below[1]])[None].repeat(5, axis=0)

    found = edge_errors(answer(0.3, 1.8), answer(0.1, 2.3))
    assert found.inner_bias_mm == pytest.approx(0.2, abs=STEP_MM / 6)
    assert found.outer_bias_mm == pytest.approx(-0.5, abs=STEP_MM / 6)
    assert (found.inner_mm, found.outer_mm) == pytest.approx((0.2, 0.5), abs=STEP_MM / 6)
    assert found.rays == 5


def test_one_joint_in_ten_is_held_out() -> None:
    names = [Path(f"{seed:03d}_{number:05d}.npz") for seed in (1, 2) for number in range(40)]
    assert sum(is_held_out(name) for name in names) == 8


@pytest.mark.slow
def test_the_fitted_network_reduces_errors_and_equals_the_exported_one(collected, tmp_path) -> None:
    torch = pytest.importorskip("torch")
    from pipeline.digest import sha256_of
    from training.edges.errors import errors
    from training.edges.fit import fit

    torch.set_num_threads(1)
    some = load([collected], np.random.default_rng(0))
    fitted = Ensemble(members=(fit(some, 0.15, 1, lambda _, __: None),))
    before, after = first_pass_errors(some), errors(fitted, some)
    assert after.inner_mm + after.outer_mm < 0.9 * (before.inner_mm + before.outer_mm)
    write_ensemble(fitted, tmp_path / "edges.npz")
    stored = read_ensemble(tmp_path / "edges.npz", sha256_of(tmp_path / "edges.npz"))
    # training further begins with the stored network: after one step, its errors are nearly the same
    further = Ensemble(members=(fit(some, 1e-6, 1, lambda _, __: None, stored.members[0]),))
    assert errors(further, some).outer_mm == pytest.approx(errors(stored, some).outer_mm, abs=0.03)


def clear_surface(inner_mm: float, outer_mm: float) -> tuple[Profiles, np.ndarray]:
    """Profiles of forty rays across bright cartilage on dark bone, and the true fractions along them."""
    below = [np.clip(0.5 - (DEPTHS_MM - edge) / STEP_MM, 0, 1) for edge in (inner_mm, outer_mm)]
    shares = np.stack([below[0], below[1] - below[0], 1 - below[1]])[None].repeat(40, axis=0).astype(np.float32)
    bone, cartilage, _ = np.moveaxis(shares, 1, 0)
    nothing = np.zeros_like(bone)
    grey = cartilage + 0.2 * (1 - bone - cartilage)
    return Profiles(grey=grey, bone=bone, cartilage=cartilage, other_bone=nothing, other_cartilage=nothing), shares


def test_a_varied_surface_changes_thickness_and_its_truth_follows() -> None:
    seen, truth = clear_surface(0.1, 2.1)
    thick = []
    for seed in range(60):
        changed, shares = varied(seen, truth, np.random.default_rng(seed))
        assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-5)
        assert (np.ptp(changed.grey, axis=0) < 1e-5).all()  # shared properties change for all rays of a surface
        thick.append(STEP_MM * float(shares[0, 1].sum()))
        own = STEP_MM * float(changed.cartilage[0].sum())
        assert own == pytest.approx(thick[-1], abs=0.1)  # between samples
    assert 1.4 < min(thick) < 1.7
    assert 2.4 < max(thick) < 2.8
    assert np.mean(thick) == pytest.approx(2.0, abs=0.15)


def test_the_edge_of_a_varied_surface_stays_where_the_truth_has_it() -> None:
    seen, truth = clear_surface(0.1, 2.1)
    off = []
    for seed in range(60):
        changed, shares = varied(seen, truth, np.random.default_rng(seed))
        edge = DEPTHS_MM[0] + STEP_MM * (shares[0, :2].sum() - 0.5)
        steepest = DEPTHS_MM[np.argmin(np.diff(changed.grey[0]))] + STEP_MM / 2
        off.append(abs(steepest - edge))
    assert np.median(off) < STEP_MM


def test_the_same_generator_state_gives_the_same_variation() -> None:
    seen, truth = clear_surface(0.1, 2.1)
    one, two = (varied(seen, truth, np.random.default_rng(5))[0].grey for _ in range(2))
    other = varied(seen, truth, np.random.default_rng(6))[0].grey
    assert (one == two).all()
    assert not np.allclose(one, other, atol=0.01)


@pytest.mark.slow
def test_the_number_of_rays_does_not_depend_on_the_number_of_views(collected) -> None:
    one, three = (load([collected], np.random.default_rng(0), views) for views in (1, 3))
    assert abs(len(one.features) - len(three.features)) < 10
    assert one.features.shape[1] == three.features.shape[1] == FEATURES

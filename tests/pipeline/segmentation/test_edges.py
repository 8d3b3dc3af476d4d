"""Edges along rays: rays start on the bone and point out of it, sample the scan at their positions, and give edges
between voxels of the scan.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pipeline.digest import sha256_of
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.segmentation.edges.certainty import certainty
from pipeline.segmentation.edges.network import (
    ANSWERS,
    Ensemble,
    ProfileNetwork,
    edges_mm,
    prior,
    read_ensemble,
    write_ensemble,
)
from pipeline.segmentation.edges.profiles import DEPTHS_MM, FEATURES, STEP_MM, blur_along, features, read
from pipeline.segmentation.edges.rays import Rays, cast
from pipeline.segmentation.edges.refine import locate_edges, refine_edges
from pipeline.segmentation.edges.relabel import claim_of, relabel
from pipeline.segmentation.first_pass import recorded
from pipeline.segmentation.frame import Frame

BONE, CARTILAGE, OTHER_BONE, OTHER_CARTILAGE = 1, 2, 3, 4
PAIRS = [(BONE, CARTILAGE), (OTHER_BONE, OTHER_CARTILAGE)]
SHAPE, SPACING = (50, 96, 100), (0.7, 0.37, 0.35)
COARSE_MM = 0.7
CENTRE = np.array([17.5, 17.9, 17.2])
RADIUS, SHELL = 9.0, 2.2


def frame_of_scan() -> Frame:
    return Frame(shape=SHAPE, spacing_mm=SPACING, resolution_mm=COARSE_MM)


def radius_mm(shape, spacing) -> np.ndarray:
    axes = np.ix_(*((np.arange(n) + 0.5) * s - c for n, s, c in zip(shape, spacing, CENTRE, strict=True)))
    return np.sqrt(sum(axis**2 for axis in axes))


def shell(shape, spacing, bone_mm: float = RADIUS, thick_mm: float = SHELL) -> np.ndarray:
    """Labels of a bone sphere fully covered with cartilage."""
    r = radius_mm(shape, spacing)
    return np.where(r < bone_mm, BONE, np.where(r < bone_mm + thick_mm, CARTILAGE, 0)).astype(np.uint8)


def answered(bone_mm: float = RADIUS, thick_mm: float = SHELL) -> np.ndarray:
    """(4, ...) stored first-pass probabilities with a transition over one voxel."""
    r = radius_mm(frame_of_scan().isotropic, (COARSE_MM,) * 3)
    inner, outer = (np.clip(0.5 - (r - edge) / COARSE_MM, 0, 1) for edge in (bone_mm, bone_mm + thick_mm))
    kept = np.zeros((4, *r.shape), np.uint8)
    kept[BONE - 1] = np.rint(255 * inner)
    kept[CARTILAGE - 1] = np.rint(255 * (outer - inner))
    return kept


def rays_of(kept: np.ndarray) -> Rays:
    rays = cast(kept, COARSE_MM, BONE, CARTILAGE)
    assert rays is not None
    return rays


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_recording_keeps_every_class_but_the_background() -> None:
    answer = np.random.default_rng(1).dirichlet(np.ones(3), (9, 4, 5)).transpose(3, 0, 1, 2).astype(np.float32)
    kept = np.zeros((2, 9, 4, 5), np.uint8)
    slabs = list(recorded(iter([(0, answer[:, :4]), (4, answer[:, 4:])]), kept))
    assert np.array_equal(np.concatenate([slab for _, slab in slabs], 1), answer)
    assert np.abs(kept / 255 - answer[1:]).max() <= 0.5 / 255 + 1e-6


def test_rays_start_on_the_bone_and_point_along_its_outward_normal() -> None:
    rays = rays_of(answered())
    out = rays.starts_mm - CENTRE
    assert np.linalg.norm(out, axis=1) == pytest.approx(RADIUS, abs=0.3)
    assert np.einsum("ni,ni->n", out / np.linalg.norm(out, axis=1, keepdims=True), rays.normals).min() > 0.99
    assert len(rays) > 0.5 * 4 * np.pi * RADIUS**2 / COARSE_MM**2
    assert rays.at(DEPTHS_MM).shape == (len(rays), len(DEPTHS_MM), 3)


def test_there_are_no_rays_without_bone_or_cartilage() -> None:
    kept = answered()
    assert cast(kept, COARSE_MM, OTHER_BONE, OTHER_CARTILAGE) is None
    kept[CARTILAGE - 1] = 0
    assert cast(kept, COARSE_MM, BONE, CARTILAGE) is None


def test_rays_start_on_the_largest_component_near_cartilage() -> None:
    kept = answered()
    kept[BONE - 1, :4, :4, :4] = 255
    upper = np.arange(kept.shape[1]) * COARSE_MM > CENTRE[0]
    kept[CARTILAGE - 1, ~upper] = 0
    rays = rays_of(kept)
    assert rays.starts_mm[:, 0].min() > CENTRE[0] - 5.0
    assert np.linalg.norm(rays.starts_mm - CENTRE, axis=1) == pytest.approx(RADIUS, abs=0.3)


def test_there_are_no_rays_where_the_field_of_view_cuts_the_bone() -> None:
    cut = answered()[:, 25:]
    rays = rays_of(np.ascontiguousarray(cut))
    assert rays.starts_mm[:, 0].min() > 0.5 * COARSE_MM
    assert np.abs(rays.normals[:, 0]).min() < 0.5  # the others are there


def test_a_profile_has_the_values_of_scan_and_first_pass_at_its_depths() -> None:
    kept = answered()
    rays = rays_of(kept)
    image = radius_mm(SHAPE, SPACING).astype(np.float32)
    found = read(image, SPACING, kept, COARSE_MM, rays, PAIRS)
    at = np.linalg.norm(rays.at(DEPTHS_MM) - CENTRE, axis=2)
    assert np.abs(found.grey - at).max() < 0.06
    assert (found.bone[at < RADIUS - 1] > 0.99).all()
    assert (found.cartilage[(at > RADIUS + 0.9) & (at < RADIUS + SHELL - 0.9)] > 0.95).all()
    assert not found.other_bone.any()
    assert not found.other_cartilage.any()


def test_features_do_not_depend_on_the_scans_gain_and_offset() -> None:
    kept = answered()
    rays = rays_of(kept)
    image = shell(SHAPE, SPACING).astype(np.float32)
    image += 0.1 * np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    blur = blur_along(rays, SPACING)
    one, other = (
        features(read(scan, SPACING, kept, COARSE_MM, rays, PAIRS), rays, blur, 0) for scan in (image, 37 * image + 500)
    )
    assert np.abs(one - other).max() < 2e-3
    assert blur.min() >= 0.35
    assert blur.max() <= np.linalg.norm(SPACING) + 1e-6


def test_grey_values_are_normalised_to_marrow_0_and_cartilage_1() -> None:
    kept = answered()
    rays = rays_of(kept)
    image = shell(SHAPE, SPACING).astype(np.float32)
    relative = features(read(image, SPACING, kept, COARSE_MM, rays, PAIRS), rays, blur_along(rays, SPACING), 0)
    relative = relative[:, : len(DEPTHS_MM)]
    inside = relative[:, DEPTHS_MM < -1.5].mean()
    middle = relative[:, np.abs(DEPTHS_MM - SHELL / 2) < 0.3].mean()
    assert inside == pytest.approx(0.0, abs=0.05)
    assert 1.0 < middle < 1.4  # the mean over a thin plate includes its blurred edges


@pytest.mark.parametrize("spacing", [SPACING, (0.35, 0.37, 0.7)])
def test_edges_along_rays_become_labels_despite_an_inaccurate_first_pass(spacing) -> None:
    shape = tuple(round(35.0 / s) for s in spacing)
    frame = Frame(shape=shape, spacing_mm=spacing, resolution_mm=COARSE_MM)
    kept = answered(bone_mm=RADIUS + 0.6, thick_mm=1.0)
    rays = rays_of(kept)
    start = np.linalg.norm(rays.starts_mm - CENTRE, axis=1)
    labels, truth = shell(shape, spacing, RADIUS + 0.6, 1.0), shell(shape, spacing)
    first = dice(labels == CARTILAGE, truth == CARTILAGE)
    relabel(labels, [claim_of(rays, RADIUS - start, RADIUS + SHELL - start, frame)])
    assert first < 0.65
    assert dice(labels == CARTILAGE, truth == CARTILAGE) > 0.97
    assert dice(labels == BONE, truth == BONE) > 0.99


def test_labels_beyond_the_rays_are_unchanged() -> None:
    kept = answered()
    upper = np.arange(kept.shape[1]) * COARSE_MM > CENTRE[0]
    kept[CARTILAGE - 1, ~upper] = 0
    rays = rays_of(kept)
    labels = shell(SHAPE, SPACING)
    labels[2:5, 2:5, 2:5] = OTHER_BONE
    before = labels.copy()
    start = np.linalg.norm(rays.starts_mm - CENTRE, axis=1)
    relabel(labels, [claim_of(rays, RADIUS + 0.7 - start, RADIUS + 0.7 - start, frame_of_scan())])
    lower = np.arange(SHAPE[0]) * SPACING[0] < CENTRE[0] - 7.0
    assert np.array_equal(labels[lower], before[lower])
    assert (labels == OTHER_BONE).sum() == 27
    far = np.arange(SHAPE[0]) * SPACING[0] > CENTRE[0] + 1.5
    assert not (labels[far] == CARTILAGE).any()


def test_a_voxel_claimed_by_two_surfaces_belongs_to_the_deeper_one() -> None:
    """Two flat plates 4 mm apart, each predicted as 3 mm thick: they meet in the middle."""
    shape, spacing = (30, 40, 40), (0.7, 0.5, 0.5)
    frame = Frame(shape=shape, spacing_mm=spacing, resolution_mm=COARSE_MM)
    across = np.stack(np.meshgrid(np.arange(1, 19, 0.7), np.arange(1, 19, 0.7)), axis=-1).reshape(-1, 2)
    claims = []
    for bone, cartilage, height, way in ((BONE, CARTILAGE, 8.0, 1.0), (OTHER_BONE, OTHER_CARTILAGE, 12.0, -1.0)):
        starts = np.column_stack([np.full(len(across), height), across]).astype(np.float32)
        normals = np.tile(np.array([way, 0, 0], np.float32), (len(across), 1))
        rays = Rays(bone=bone, cartilage=cartilage, starts_mm=starts, normals=normals)
        inner, outer = np.zeros(len(across), np.float32), np.full(len(across), 3.0, np.float32)
        claims.append(claim_of(rays, inner, outer, frame))
    labels = np.zeros(shape, np.uint8)
    relabel(labels, claims)
    column = labels[:, 20, 20]
    heights = (np.arange(shape[0]) + 0.5) * spacing[0]
    assert (column[(heights > 8.1) & (heights < 9.9)] == CARTILAGE).all()
    assert (column[(heights > 10.1) & (heights < 11.9)] == OTHER_CARTILAGE).all()


def test_edges_of_clear_predictions_are_exact_within_a_fifth_of_a_step() -> None:
    inner, outer = np.array([-0.6, 0.0, 1.2]), np.array([1.5, 0.0, 3.9])
    below = [np.clip(0.5 - (DEPTHS_MM - edge[:, None]) / 0.25, 0, 1) for edge in (inner, outer)]
    answer = np.stack([below[0], below[1] - below[0], 1 - below[1]], axis=1)
    found = edges_mm(answer)
    assert np.allclose(found, [inner, outer], atol=STEP_MM / 5)


def test_cartilage_on_the_opposite_side_of_a_thin_bone_is_ignored() -> None:
    across = np.clip(0.5 - (DEPTHS_MM + 2.0) / 0.25, 0, 1)
    below = [np.clip(0.5 - (DEPTHS_MM - edge) / 0.25, 0, 1) for edge in (0.4, 1.8)]
    cartilage = 0.9 * (below[1] - below[0]) + across
    answer = np.stack([below[0] - across, cartilage, 1 - below[0] + across - cartilage])
    inner, outer = edges_mm(answer[None])
    assert inner[0] == pytest.approx(0.4, abs=0.05)
    assert outer[0] == pytest.approx(1.8, abs=0.05)


def test_uncertainty_does_not_change_thickness_and_improbable_plates_are_removed() -> None:
    below = [np.clip(0.5 - (DEPTHS_MM - edge) / 0.25, 0, 1) for edge in (0.0, 2.0)]
    sure = np.stack([below[0], below[1] - below[0], 1 - below[1]])
    for chance, thick in ((1.0, 2.0), (0.6, 2.0), (0.2, 0.0)):
        answer = sure.copy()
        answer[1] *= chance
        answer[2] = 1.0 - answer[0] - answer[1]
        inner, outer = edges_mm(answer[None])
        assert inner[0] == pytest.approx(0.0, abs=STEP_MM / 5)
        assert outer[0] - inner[0] == pytest.approx(thick, abs=2 * STEP_MM / 5)


def unsure_plate(chance: float) -> np.ndarray:
    """Answers (20, ANSWERS, depths): bone to 0.1 mm with certainty, cartilage to 2.1 mm with this probability."""
    below = [np.clip(0.5 - (DEPTHS_MM - edge) / 0.25, 0, 1) for edge in (0.1, 2.1)]
    cartilage = chance * (below[1] - below[0])
    return np.repeat(np.stack([below[0], cartilage, 1 - below[0] - cartilage])[None], 20, axis=0)


@pytest.mark.parametrize("chance", [1.0, 0.8, 0.6])
def test_certainty_of_a_plate_is_the_mean_between_the_edges_of_its_rays(chance: float) -> None:
    answer = unsure_plate(chance)
    found = certainty(answer, *edges_mm(answer))
    assert found.probability == pytest.approx(chance, rel=0.15), "edges themselves are half cartilage"
    deeper = np.float64(1.0 - chance)
    doubt = 0.0 if chance == 1.0 else -(chance * np.log2(chance) + deeper * np.log2(deeper))
    assert 0.2 * doubt <= found.entropy_bits <= 1.0
    assert found.entropy_bits >= certainty(unsure_plate(1.0), *edges_mm(unsure_plate(1.0))).entropy_bits


def test_without_cartilage_on_rays_there_is_no_certainty() -> None:
    answer = unsure_plate(0.1)
    assert certainty(answer, *edges_mm(answer)) is None


def network(seed: int = 0, *, silent: bool = False) -> ProfileNetwork:
    rng = np.random.default_rng(seed)
    sizes = [FEATURES, 12, 12, ANSWERS * len(DEPTHS_MM)]
    layers = [
        ((0.3 * rng.standard_normal(pair)).astype(np.float32), rng.standard_normal(pair[1]).astype(np.float32))
        for pair in pairwise(sizes)
    ]
    if silent:
        layers[-1] = tuple(np.zeros_like(part) for part in layers[-1])
    return ProfileNetwork(
        centre=np.zeros(sizes[0], np.float32), scale=np.ones(sizes[0], np.float32), layers=tuple(layers)
    )


def alone(member: ProfileNetwork) -> Ensemble:
    return Ensemble(members=(member,))


def some_features(count: int = 50) -> np.ndarray:
    values = np.random.default_rng(5).random((count, FEATURES), dtype=np.float32)
    values[:, len(DEPTHS_MM) : 3 * len(DEPTHS_MM)] *= 0.5
    return values


def test_a_network_with_zero_correction_returns_the_first_pass() -> None:
    given = some_features()
    expected = np.exp(prior(given))
    assert np.allclose(alone(network(silent=True))(given), expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_an_ensemble_is_between_its_members() -> None:
    one, two = network(0), network(1)
    both = Ensemble(members=(one, two))(some_features())
    apart = [alone(member)(some_features()) for member in (one, two)]
    assert np.allclose(both.sum(axis=1), 1.0, atol=1e-5)
    expected = np.sqrt(apart[0] * apart[1])
    assert np.allclose(both, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert not np.allclose(both, apart[0], atol=0.01)
    assert np.allclose(Ensemble(members=(one, one))(some_features()), apart[0], atol=1e-5)


def test_a_network_is_read_back_as_written_and_other_files_are_rejected(tmp_path) -> None:
    path = tmp_path / "edges.npz"
    both = Ensemble(members=(network(0), network(1)))
    write_ensemble(both, path)
    digest = sha256_of(path)
    assert np.allclose(read_ensemble(path, digest)(some_features()), both(some_features()), atol=2e-3)
    assert not list(tmp_path.glob("*.part*"))
    with pytest.raises(WeightsCorrupt):
        read_ensemble(path, "0" * 64)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsCorrupt):
        read_ensemble(path, sha256_of(path))
    with pytest.raises(WeightsMissing):
        read_ensemble(tmp_path / "none.npz", digest)


def test_a_network_with_inconsistent_parts_is_rejected(tmp_path) -> None:
    path = tmp_path / "edges.npz"
    whole_one = network()
    for layers in (whole_one.layers[1:], whole_one.layers[:-1], whole_one.layers[:1] + whole_one.layers[2:] * 2):
        write_ensemble(Ensemble(members=(whole_one, replace(whole_one, layers=layers))), path)
        with pytest.raises(WeightsCorrupt):
            read_ensemble(path, sha256_of(path))


def test_rays_across_thick_slices_are_ignored() -> None:
    """A network that finds no cartilage removes it along in-plane rays and keeps it along rays across slices."""
    shape, spacing = (9, 96, 100), (3.9, 0.37, 0.35)
    frame = Frame(shape=shape, spacing_mm=spacing, resolution_mm=COARSE_MM)
    nothing = network(silent=True)
    matrix, bias = nothing.layers[-1]
    blind = np.concatenate([np.zeros(2 * len(DEPTHS_MM)), np.full(len(DEPTHS_MM), 30.0)]).astype(np.float32)
    nothing = alone(replace(nothing, layers=(*nothing.layers[:-1], (matrix, bias + blind))))
    labels, before = shell(shape, spacing), shell(shape, spacing)
    located = [
        locate_edges(nothing, before.astype(np.float32), frame, answered(), PAIRS, number)
        for number in range(len(PAIRS))
    ]
    refine_edges([found for found in located if found is not None], labels)
    offset = np.abs((np.arange(shape[0]) + 0.5) * spacing[0] - CENTRE[0])
    middle, ends = offset < 2.0, (offset > 7.5) & (offset < RADIUS + SHELL)
    assert (before[middle] == CARTILAGE).any()
    assert not (labels[middle] == CARTILAGE).any()
    assert (before[ends] == BONE).any()
    assert np.array_equal(labels[ends] == BONE, before[ends] == BONE)


def test_fewer_neighbours_than_usual_are_sufficient() -> None:
    kept = answered()
    rays = rays_of(kept)
    few = Rays(bone=BONE, cartilage=CARTILAGE, starts_mm=rays.starts_mm[:60], normals=rays.normals[:60])
    found = read(shell(SHAPE, SPACING).astype(np.float32), SPACING, kept, COARSE_MM, few, PAIRS)
    assert np.isfinite(features(found, few, blur_along(few, SPACING), 2)).all()

"""Patches for training: image and targets agree, and both are reproducible."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.segmentation.knee_unet import knee_unet
from tests.support.knees import joint_of, reference_knee, turned_knee
from training.knee_unet.contrast import DESS_RANGES, FAMILIES, class_place, draw_contrast
from training.knee_unet.patch_rendering import View, render_patch
from training.knee_unet.patches import SUB_VOXEL, draw_matrix, make_patch, soft_targets
from training.knee_unet.scans import UNSEEN
from training.knee_unet.specimen import (
    AXES,
    CLASS_OF,
    KINDS,
    MENISCUS_CLASS,
    NETWORK_CLASS_COUNT,
    RESOLUTION_MM,
    Specimen,
    in_network_axes,
    lookup,
    make_specimen,
    read_specimen,
    write_specimen,
)
from training.signal import Kind

SMALL = (48, 48, 48)


@cache
def specimen() -> Specimen:
    return make_specimen(joint_of(turned_knee()), "turned", seed=3)


def test_classes_axes_and_resolution_are_those_of_the_built_in_network() -> None:
    entry = knee_unet().card
    assert set(range(1, NETWORK_CLASS_COUNT)) == set(entry.native_labels)
    assert (knee_unet().axes, knee_unet().resolution_mm) == (AXES, RESOLUTION_MM)
    for native, structure in entry.native_to_canonical.to_canonical.items():
        if native in entry.native_labels and native != MENISCUS_CLASS:
            assert CLASS_OF[structure] == native
    assert CLASS_OF[Structure.LATERAL_TIBIAL_CARTILAGE] == CLASS_OF[Structure.MEDIAL_TIBIAL_CARTILAGE]
    assert CLASS_OF[Structure.MEDIAL_MENISCUS] == 0, "expert maps contain none"
    assert entry.native_labels[MENISCUS_CLASS] == "meniscus"


def test_conversion_to_network_axes_keeps_patient_positions() -> None:
    knee = turned_knee()
    labels, grid = in_network_axes(knee.labels, knee.grid)
    points = knee.grid.to_mm(np.argwhere(knee.labels == Structure.PATELLA)[::50])
    index = np.rint(grid.to_index(points)).astype(int)
    assert (labels[tuple(index.T)] == Structure.PATELLA).all()
    assert grid.direction[0, 2] < 0 < grid.direction[2, 0]  # first axis to the patient's right, last one upwards


@pytest.mark.slow
def test_soft_tissues_fill_the_limb_and_air_surrounds_it() -> None:
    tissues = specimen().tissues
    share = np.bincount(tissues.ravel(), minlength=len(KINDS)) / tissues.size
    for kind in (Kind.FAT, Kind.MUSCLE, Kind.FLUID, Kind.MENISCUS, Kind.TENDON):
        assert share[KINDS.index(kind)] > 0.0005, kind
    assert share[KINDS.index(Kind.MARROW)] < 0.05  # bones come from the labels; only the fibula is generated


@pytest.mark.slow
def test_a_specimen_reads_back_as_it_was_written(tmp_path) -> None:
    write_specimen(specimen(), tmp_path / "turned")
    found = read_specimen(tmp_path / "turned")
    assert found.spacing_mm == specimen().spacing_mm
    for field in ("classes", "tissues", "bone_mm", "cartilage_mm"):
        assert np.array_equal(getattr(found, field), getattr(specimen(), field))


@pytest.mark.slow
def test_an_unfinished_specimen_is_ignored(tmp_path) -> None:
    (tmp_path / "turned.part").mkdir()  # a kill while writing
    write_specimen(specimen(), tmp_path / "turned")
    assert read_specimen(tmp_path / "turned").name == "turned"


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_state_gives_the_same_patch_and_targets_sum_to_one(family: str) -> None:
    one, two = (make_patch(specimen(), np.random.default_rng(5), SMALL, family) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert one.family == family
    assert one.image.dtype == one.targets.dtype == np.float32
    assert np.isfinite(one.image).all()
    assert np.allclose(one.targets.sum(0), 1.0)
    assert set(np.unique(one.targets)) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_the_dark_cortical_plate_is_inside_the_bone() -> None:
    side, voxel_mm = 40, 0.45
    depth = np.broadcast_to((np.arange(side, dtype=np.float32) - 19.5)[:, None, None] * voxel_mm, (side,) * 3).copy()
    classes = np.where(depth < 0, 1, 0).astype(np.uint8)
    view = View(
        samples=(classes,) * 4,
        tissues=np.full((side,) * 3, KINDS.index(Kind.MUSCLE), np.uint8),
        bone_mm=depth,
        cartilage_mm=np.full((side,) * 3, 12.0, np.float32),
        voxel_mm=voxel_mm,
    )
    inside, outside = [], []
    for seed in range(40):
        image = render_patch(view, draw_contrast(np.random.default_rng(seed), "dess"), np.random.default_rng(seed))
        profile = np.median(image, axis=(1, 2))
        inside.append(profile[19] / profile[:8].mean())
        outside.append(profile[21] / profile[32:].mean())
    assert np.median(inside) < 0.5, "the last layer of bone is dark"
    assert np.median(outside) > 0.9, "the layer 0.7 mm outside is not"


def test_in_dess_fluid_is_brighter_than_cartilage() -> None:
    rng = np.random.default_rng(4)
    assert min(draw_contrast(rng, "dess").of(Kind.FLUID) for _ in range(300)) >= 1.3


@pytest.mark.slow
def test_another_generator_state_gives_another_patch() -> None:
    one, two = (make_patch(specimen(), np.random.default_rng(seed), SMALL) for seed in (1, 2))
    assert not np.array_equal(one.image, two.image)


def test_soft_targets_of_a_plane_keep_its_volume_within_a_quarter_voxel() -> None:
    spacing = (0.1, 0.7, 0.7)
    classes = np.zeros((400, 8, 8), np.uint8)
    classes[: round(13.6 / 0.1)] = 2
    axes = [(np.arange(8) + 0.5) * 0.7 for _ in range(2)]
    x, y, z = np.meshgrid((np.arange(40) + 0.5) * 0.7, *axes, indexing="ij")
    places = [p.astype(np.float32) for p in (x, y, z)]
    samples = tuple(lookup(classes, spacing, places, offset * 0.7) for offset in SUB_VOXEL)
    targets = soft_targets(samples, np.ones(x.shape, bool))
    column = targets[2][:, 4, 4].sum() * 0.7
    assert column == pytest.approx(13.6, abs=0.7 / 4)
    assert 0 < np.count_nonzero((targets[2][:, 4, 4] > 0) & (targets[2][:, 4, 4] < 1)) <= 1


def test_poses_stay_within_bounds_and_mirror_half_of_the_time() -> None:
    rng = np.random.default_rng(0)
    matrices = [draw_matrix(rng) for _ in range(400)]
    determinants = np.array([np.linalg.det(m) for m in matrices])
    assert 0.4 < np.mean(determinants < 0) < 0.6
    assert 0.5 < np.abs(determinants).min() < np.abs(determinants).max() < 2.2


def test_dess_shows_cartilage_brighter_than_marrow_and_cortex() -> None:
    rng = np.random.default_rng(1)
    contrasts = [draw_contrast(rng, "dess") for _ in range(200)]
    cartilage = np.array([c.levels[class_place(2)] for c in contrasts])
    marrow = np.array([c.levels[class_place(1)] for c in contrasts])
    cortex = np.array([c.of(Kind.CORTEX) for c in contrasts])
    assert np.mean(cartilage > marrow) > 0.95
    assert np.mean(marrow > cortex) > 0.9


def test_fat_is_bright_where_it_is_not_suppressed() -> None:
    rng = np.random.default_rng(2)
    bright = [draw_contrast(rng, "fat_bright").of(Kind.FAT) for _ in range(100)]
    suppressed = [draw_contrast(rng, "fat_suppressed").of(Kind.FAT) for _ in range(100)]
    assert np.median(bright) > 2.0 * np.median(suppressed)


def test_evaluation_protocols_are_outside_the_training_ranges() -> None:
    for protocol in UNSEEN:
        for name, (low, high) in DESS_RANGES.items():
            assert not low <= getattr(protocol, name) <= high, (protocol.name, name)


def test_a_knee_on_another_grid_fills_the_same_patient_positions() -> None:
    """The reference (axis-aligned, 0.5 mm) and a finer copy give specimens of the same position and size."""
    knee = reference_knee()
    cropped = knee.grid.crop((20, 20, 20), knee.grid.shape)
    part = replace(knee, labels=np.ascontiguousarray(knee.labels[20:, 20:, 20:]), grid=cropped)
    _, whole_grid = in_network_axes(knee.labels, knee.grid)
    _, part_grid = in_network_axes(part.labels, part.grid)
    assert isinstance(part_grid, Grid)
    corner = np.array([part_grid.shape]) - 1.0
    back = whole_grid.to_index(part_grid.to_mm(np.vstack([np.zeros(3), corner])))
    assert np.allclose(back, np.rint(back), atol=1e-6)

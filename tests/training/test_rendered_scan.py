"""Whole knees from the training renderer: on the grid of their labels, with the contrast of their protocol."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.anatomy import BONES, CARTILAGE_OF, Structure
from pipeline.types import Scan, Segmentation
from tests.support.knees import turned_knee
from training.knee_unet.rendered_scan import rendered_scan, whole_view
from training.knee_unet.scans import UNSEEN
from training.knee_unet.specimen import BONE_CLASSES, CLASS_OF, make_specimen

pytestmark = pytest.mark.slow
SHORT, LONG = UNSEEN


@cache
def coarse_knee() -> Segmentation:
    """Every second voxel of the rotated knee along each axis: 1/8 of the work."""
    knee = turned_knee()
    labels = np.ascontiguousarray(knee.labels[::2, ::2, ::2])
    x, y, z = knee.grid.spacing_mm
    return replace(knee, labels=labels, grid=replace(knee.grid, shape=labels.shape, spacing_mm=(2 * x, 2 * y, 2 * z)))


@pytest.fixture(scope="module")
def rendered() -> tuple[Scan, Segmentation]:
    return rendered_scan(coarse_knee(), SHORT, seed=5)


def test_scan_and_labels_show_the_same_knee_at_the_same_positions(rendered: tuple[Scan, Segmentation]) -> None:
    knee, (scan, truth) = coarse_knee(), rendered
    assert scan.grid == truth.grid
    for structure in (Structure.FEMUR, Structure.PATELLAR_CARTILAGE):
        one, other = (k.grid.to_mm(np.argwhere(k.labels == structure)).mean(axis=0) for k in (knee, truth))
        assert other == pytest.approx(one, abs=1e-3)


def test_cartilage_marrow_contrast_increases_with_a_lower_flip_angle(
    rendered: tuple[Scan, Segmentation],
) -> None:
    def ratio(scan: Scan, truth: Segmentation) -> float:
        plates = truth.mask(*(s for bone in BONES for s in CARTILAGE_OF[bone]))
        return float(np.median(scan.echoes[0][plates]) / np.median(scan.echoes[0][truth.mask(*BONES)]))

    short, long = ratio(*rendered), ratio(*rendered_scan(coarse_knee(), LONG, seed=5))
    assert short > 1.5, "at 17 degrees marrow is half as bright as cartilage"
    assert 0.9 < long < short, "at 35 degrees nearly as bright"


def test_the_same_seed_gives_the_same_scan(rendered: tuple[Scan, Segmentation]) -> None:
    again, _ = rendered_scan(coarse_knee(), SHORT, seed=5)
    assert np.array_equal(again.echoes, rendered[0].echoes)


def test_bone_voxels_of_the_whole_view_have_negative_distance() -> None:
    specimen = make_specimen(coarse_knee(), "turned", seed=3)
    view = whole_view(specimen)
    bone = np.isin(view.samples[0], BONE_CLASSES)
    deep = view.bone_mm < -1.0
    assert bone[deep].mean() > 0.999
    assert not bone[view.bone_mm > 1.0].any()
    labelled = np.isin(CLASS_OF[coarse_knee().labels], BONE_CLASSES).sum() * np.prod(coarse_knee().grid.spacing_mm)
    assert bone.sum() * view.voxel_mm**3 == pytest.approx(labelled, rel=0.02)

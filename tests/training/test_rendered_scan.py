"""Whole knees from the training renderer: on the grid of their labels, with the contrast of their protocol."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from pipeline.anatomy import BONES, CARTILAGE_OF, Structure
from pipeline.types import Scan, Segmentation
from tests.support.knees import coarse_knee, joint_of
from training.knee_unet.rendered_scan import rendered_scan, whole_view
from training.knee_unet.scans import UNSEEN
from training.knee_unet.specimen import BONE_CLASSES, CLASS_OF, make_specimen

pytestmark = pytest.mark.slow
SHORT, LONG = UNSEEN


@cache
def joint() -> Segmentation:
    return joint_of(coarse_knee())


@pytest.fixture(scope="module")
def rendered() -> tuple[Scan, Segmentation]:
    return rendered_scan(joint(), SHORT, seed=5)


def test_scan_and_labels_show_the_same_knee_at_the_same_positions(rendered: tuple[Scan, Segmentation]) -> None:
    knee, (scan, truth) = joint(), rendered
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

    short, long = ratio(*rendered), ratio(*rendered_scan(joint(), LONG, seed=5))
    assert short > 1.5, "at 17 degrees marrow is half as bright as cartilage"
    assert 0.9 < long < short, "at 35 degrees nearly as bright"


def test_the_same_seed_gives_the_same_scan(rendered: tuple[Scan, Segmentation]) -> None:
    again, _ = rendered_scan(joint(), SHORT, seed=5)
    assert np.array_equal(again.echoes, rendered[0].echoes)


def test_bone_voxels_of_the_whole_view_have_negative_distance() -> None:
    specimen = make_specimen(joint(), "turned", seed=3)
    view = whole_view(specimen)
    bone = np.isin(view.samples[0], BONE_CLASSES)
    deep = view.bone_mm < -1.0
    assert bone[deep].mean() > 0.999
    assert not bone[view.bone_mm > 1.0].any()
    labelled = np.isin(CLASS_OF[joint().labels], BONE_CLASSES).sum() * np.prod(joint().grid.spacing_mm)
    assert bone.sum() * view.voxel_mm**3 == pytest.approx(labelled, rel=0.02)

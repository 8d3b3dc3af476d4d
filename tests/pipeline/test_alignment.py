"""Side and frame of a knee."""

import numpy as np
import pytest

from bench.phantoms import ellipsoid
from pipeline.alignment import align_knee
from pipeline.anatomy import Side, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.registration import evenly
from pipeline.surface import bone_surface
from tests.support.knees import mirrored, reference_knee, turned_knee


def aligned(segmentation):
    return align_knee(bone_surface(segmentation, Structure.FEMUR))


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [(6.0, -4.0, 9.0), (-15.0, 10.0, -12.0)])
def test_a_rotated_and_scaled_right_knee_is_identified_and_aligned(degrees):
    knee = turned_knee(degrees=degrees)
    alignment = aligned(knee)
    assert alignment.side is Side.RIGHT
    assert alignment.residual_mm < 0.5 * alignment.residual_other_mm
    scale = np.cbrt(np.linalg.det(alignment.matrix[:3, :3]))
    assert scale == pytest.approx(1 / 1.06, rel=0.01)
    for structure in (Structure.FEMUR, Structure.FEMORAL_CARTILAGE):
        here = knee.grid.to_mm(np.argwhere(knee.labels == structure)).mean(axis=0)
        there = reference_knee().grid.to_mm(np.argwhere(reference_knee().labels == structure)).mean(axis=0)
        assert alignment.to_reference(here[None])[0] == pytest.approx(there, abs=0.5)


def test_its_mirror_image_is_identified_as_left_with_the_same_alignment():
    knee = turned_knee()
    right, left = aligned(knee), aligned(mirrored(knee))
    assert left.side is Side.LEFT
    assert left.residual_mm == pytest.approx(right.residual_mm, abs=1e-4)
    points = knee.grid.to_mm(np.argwhere(knee.labels == Structure.FEMORAL_CARTILAGE)[::50])
    other = points * np.array([-1, 1, 1])
    assert left.to_reference(other) == pytest.approx(right.to_reference(points), abs=1e-3)


def test_evenly_spaced_points_do_not_depend_on_vertex_order():
    surface = bone_surface(turned_knee(), Structure.FEMUR)
    points = surface.points_mm
    shuffled = points[np.random.default_rng(0).permutation(len(points))]
    chosen = evenly(points, 3000)
    assert evenly(shuffled, 3000) == pytest.approx(chosen, abs=1e-9)
    assert 2000 < len(chosen) < 4500


@pytest.mark.slow
@pytest.mark.parametrize("axes", [(30, 30, 30), (40, 25, 30), (55, 20, 20)])
def test_an_ellipsoid_is_not_a_femur(axes):
    ball = ellipsoid(axes, 2.0, seed=1, spacing_mm=(1.0, 1.0, 1.0)).segmentation
    with pytest.raises(ImplausibleAnatomy, match="reference femur"):
        aligned(ball)

"""Bone area is that of the outer surface: whatever is inside a bone, beside it, or cut by the image does not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.phantoms import ellipsoid
from pipeline.anatomy import Structure
from pipeline.grid import FloatArray
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import LabelArray, Segmentation

RADIUS_MM = 20.0
COVERED = -4.0
"""Cartilage lies on the part of the sphere whose height (local z) is below this."""

AREA_MM2 = 2 * np.pi * RADIUS_MM * (RADIUS_MM + COVERED)
"""Of a spherical cap."""


def covered_sphere() -> tuple[Segmentation, FloatArray]:
    """A bone, two fifths of it under 2 mm of cartilage, and the place of every voxel in the bone's frame (n, 3)."""
    phantom = ellipsoid((RADIUS_MM,) * 3, 2.0, seed=5)
    segmentation = phantom.segmentation
    index = np.indices(segmentation.grid.shape).reshape(3, -1).T
    local = (segmentation.grid.to_mm(index) - phantom.centre_mm) @ phantom.rotation
    labels = segmentation.labels.copy().reshape(-1)
    labels[(labels == Structure.FEMORAL_CARTILAGE) & (local[:, 2] > COVERED)] = 0
    return replace(segmentation, labels=labels.reshape(segmentation.labels.shape)), local


WHOLE, LOCAL = covered_sphere()


def changed(where: np.ndarray, value: int = 0, only: int = Structure.FEMUR) -> Segmentation:
    labels = WHOLE.labels.copy().reshape(-1)
    labels[where & (labels == only)] = value
    return Segmentation(labels=labels.reshape(WHOLE.labels.shape), grid=WHOLE.grid, model_id="phantom")


def areas(segmentation: Segmentation) -> tuple[float, float]:
    """Total area of the plate and the denuded part of it, mm²."""
    regions: LabelArray = np.where(segmentation.labels == Structure.FEMORAL_CARTILAGE, 11, 0).astype(np.uint8)
    surface = bone_surface(segmentation, Structure.FEMUR)
    union, _ = thickness_maps(surface, segmentation, regions, 0.3125)
    inside = np.isfinite(union.thickness_mm)
    bare = inside & (union.thickness_mm == 0)
    return float(surface.vertex_areas_mm2[inside].sum()), float(surface.vertex_areas_mm2[bare].sum())


def test_the_whole_bone_has_the_area_of_its_cap() -> None:
    total, bare = areas(WHOLE)
    assert total == pytest.approx(AREA_MM2, rel=0.03)  # the rim: cartilage is met up to 2 mm off
    assert bare < 0.002 * total


RADIAL = np.linalg.norm(LOCAL, axis=1)
HEIGHT = LOCAL[:, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    [
        pytest.param(RADIAL < 8, id="cavity"),
        pytest.param(RADIAL < RADIUS_MM - 2.5, id="cortex alone"),
        pytest.param(np.abs(HEIGHT - 4) < 1.0, id="growth plate of 2 mm"),
        pytest.param(np.abs(HEIGHT - 4) < 2.5, id="growth plate of 5 mm"),
        pytest.param(np.abs(HEIGHT + 9) < 1.75, id="growth plate under the cartilage"),
        pytest.param(np.hypot(LOCAL[:, 0], HEIGHT - 8) < 3, id="tunnel"),
        pytest.param((np.hypot(LOCAL[:, 0], HEIGHT - 8) < 3) & (LOCAL[:, 1] > 0), id="blind tunnel"),
    ],
)
def test_inner_walls_are_no_subchondral_bone(where: np.ndarray) -> None:
    total, bare = areas(changed(where))
    whole, _ = areas(WHOLE)
    assert total == pytest.approx(whole, rel=0.01)
    assert bare < 0.002 * whole


def test_a_crumb_beside_the_bone_is_no_bone() -> None:
    crumb = np.linalg.norm(LOCAL - [0, 0, RADIUS_MM + 4], axis=1) < 2.5
    with_crumb = changed(crumb, Structure.FEMUR, only=0)
    assert areas(with_crumb) == pytest.approx(areas(WHOLE), rel=1e-6)
    points = bone_surface(with_crumb, Structure.FEMUR).points_mm
    assert len(points) == len(bone_surface(WHOLE, Structure.FEMUR).points_mm)


def test_a_real_bare_patch_within_the_plate_still_counts() -> None:
    patch = np.hypot(LOCAL[:, 0], LOCAL[:, 1]) < 5
    total, bare = areas(changed(patch & (HEIGHT < 0), only=Structure.FEMORAL_CARTILAGE))
    height = RADIUS_MM - np.sqrt(RADIUS_MM**2 - 25)
    assert bare == pytest.approx(2 * np.pi * RADIUS_MM * height, rel=0.25)  # its rim, too, still meets cartilage
    assert total == pytest.approx(AREA_MM2, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("edge", [0, 1])
def test_the_cap_where_the_image_ends_is_no_bone(axis: int, edge: int) -> None:
    """The image ends inside the bone; what is left of the plate keeps its area, and nothing is denuded."""
    at = WHOLE.grid.shape[axis] // 2 + (4 if edge else -4)
    keep = [slice(None)] * 3
    keep[axis] = slice(at, None) if edge == 0 else slice(None, at)
    start = [0, 0, 0]
    start[axis] = at if edge == 0 else 0
    labels = WHOLE.labels[tuple(keep)]
    z, y, x = (low + n for low, n in zip(start, labels.shape, strict=True))
    cut = Segmentation(
        labels=np.ascontiguousarray(labels),
        grid=WHOLE.grid.crop((start[0], start[1], start[2]), (z, y, x)),
        model_id="phantom",
    )
    total, bare = areas(cut)
    whole, _ = areas(WHOLE)
    assert bare < 0.004 * whole
    assert 0 < total < whole


def test_a_cavity_that_opens_through_the_border_of_the_image_is_filled() -> None:
    hollow = changed(RADIAL < RADIUS_MM - 2.5)
    at = hollow.grid.shape[0] // 2
    labels = np.ascontiguousarray(hollow.labels[at:])
    grid = hollow.grid.crop((at, 0, 0), hollow.grid.shape)
    surface = bone_surface(Segmentation(labels=labels, grid=grid, model_id="phantom"), Structure.FEMUR)
    solid = np.ascontiguousarray(WHOLE.labels[at:])
    same = bone_surface(Segmentation(labels=solid, grid=grid, model_id="phantom"), Structure.FEMUR)
    assert np.array_equal(surface.points_mm, same.points_mm)

"""Flat maps of knees in different poses, sizes and sides lie on one another, in the frame of the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.anatomy import BONES, Side, Structure
from pipeline.flat_maps.bone import FlatMap, flat_map
from pipeline.flat_maps.reference import PLATES_PATH, pose_of, reference_plate
from pipeline.types import ThicknessMap
from tests.support.flat_plates import alignment, moved, reference_bone_map, regions_of

MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


def pose(scale: float, degrees: tuple[float, float, float]) -> np.ndarray:
    """(4, 4): reference -> a scanner."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = [21.0, -40.0, 300.0]
    return matrix


def mapped(item: ThicknessMap, matrix: np.ndarray, side: Side) -> FlatMap:
    """The map of a bone after a motion; the knee was aligned by its femur."""
    found = flat_map(moved(item, matrix), alignment(np.linalg.inv(matrix), side), {"thickness_mm": item.thickness_mm})
    assert found is not None
    return found


@pytest.fixture(scope="module", params=BONES, ids=lambda bone: bone.key)
def bone(request: pytest.FixtureRequest) -> ThicknessMap:
    return reference_bone_map(request.param)


def both(one: FlatMap, two: FlatMap) -> tuple[np.ndarray, np.ndarray]:
    """Thickness in cells well inside both plates."""
    inside = (one.cells.area_mm2 > 0.1) & (two.cells.area_mm2 > 0.1)
    assert inside.mean() > 0.9 * (one.cells.area_mm2 > 0.1).mean()
    return one.values["thickness_mm"][inside], two.values["thickness_mm"][inside]


@pytest.mark.parametrize("scale", [0.9, 1.12])
def test_size_and_pose_in_the_scanner_do_not_move_the_map(bone: ThicknessMap, scale: float) -> None:
    still = mapped(bone, np.eye(4), Side.RIGHT)
    found = mapped(bone, pose(scale, (7.0, -5.0, 9.0)), Side.RIGHT)
    a, b = both(still, found)
    assert np.abs(a - b).mean() < 0.03
    assert np.quantile(np.abs(a - b), 0.99) < 0.2
    assert 1.0 / found.scale == pytest.approx(scale, rel=0.01)
    assert found.cells.area_mm2.sum() == pytest.approx(still.cells.area_mm2.sum() * scale**2, rel=1e-9)


def test_a_left_knee_has_the_map_of_its_mirror_image(bone: ThicknessMap) -> None:
    right = mapped(bone, np.eye(4), Side.RIGHT)
    left = mapped(bone, MIRROR, Side.LEFT)
    a, b = both(right, left)
    assert np.abs(a - b).mean() < 0.03
    assert left.cells.area_mm2.sum() == pytest.approx(right.cells.area_mm2.sum())


def test_every_vertex_of_the_reference_finds_its_counterpart(bone: ThicknessMap) -> None:
    matrix = pose(1.07, (4.0, 8.0, -6.0))
    found = mapped(bone, matrix, Side.RIGHT)
    there = reference_plate(bone.surface.structure)
    met = found.vertex >= 0
    assert met.mean() > 0.95
    moved_to = moved(bone, matrix).surface.points_mm[found.vertex[met]]
    expected = there.surface.points_mm[met] @ matrix[:3, :3].T + matrix[:3, 3]
    assert np.linalg.norm(moved_to - expected, axis=1).mean() < 0.5
    inside = np.isfinite(there.thickness_mm) & np.isfinite(found.at_reference["thickness_mm"])
    assert inside.sum() > 0.9 * np.isfinite(there.thickness_mm).sum()
    assert found.at_reference["thickness_mm"][inside] == pytest.approx(there.thickness_mm[inside], abs=0.8)
    assert np.isnan(found.at_reference["thickness_mm"][~met]).all()


def test_cells_have_the_regions_of_the_plate(bone: ThicknessMap) -> None:
    found = mapped(bone, np.eye(4), Side.RIGHT)
    outside = found.cells.area_mm2 == 0
    assert (found.region[outside] == 0).all()
    assert (found.subregion[outside] == 0).all()
    for label in regions_of(bone.surface.structure):
        own = bone.surface.vertex_areas_mm2[bone.region == label].sum()
        assert found.cells.area_mm2[found.region == label].sum() == pytest.approx(own, rel=0.03, abs=2.0)


def test_medial_is_on_the_right_of_every_map() -> None:
    tibia = mapped(reference_bone_map(Structure.TIBIA), MIRROR, Side.LEFT)
    columns = {label: np.flatnonzero((tibia.region == label).any(axis=0)) for label in regions_of(Structure.TIBIA)}
    medial, lateral = columns[Structure.MEDIAL_TIBIAL_CARTILAGE], columns[Structure.LATERAL_TIBIAL_CARTILAGE]
    assert tibia.cells.across[lateral].max() < tibia.cells.across[medial].min()


def test_the_posterior_condyles_are_at_negative_angles() -> None:
    femur = mapped(reference_bone_map(Structure.FEMUR), np.eye(4), Side.RIGHT)
    angles = {label: femur.cells.up[(femur.region == label).any(axis=1)] for label in regions_of(Structure.FEMUR)}
    assert angles[11].max() > 80  # trochlea
    assert max(angles[14].min(), angles[15].min()) < -90


def test_a_bone_without_cartilage_or_unlike_the_reference_has_no_map() -> None:
    patella = reference_bone_map(Structure.PATELLA)
    knee = alignment(np.eye(4), Side.RIGHT)
    nothing = np.full(len(patella.thickness_mm), np.nan)
    assert flat_map(replace(patella, thickness_mm=nothing), knee, {}) is None
    stretched = np.diag([1.0, 2.2, 1.0, 1.0])
    assert flat_map(moved(patella, stretched), knee, {}) is None


def test_the_numbered_vertices_are_those_of_the_reference_knee() -> None:
    """Other programs refer to them by number."""
    with np.load(PLATES_PATH, allow_pickle=False) as stored:
        counts = {bone.key: len(stored[f"{bone.key}_points_mm"]) for bone in BONES}
    assert counts == {"femur": 12148, "tibia": 6102, "patella": 3238}


@pytest.mark.slow
def test_the_stored_reference_is_made_from_its_label_map() -> None:
    from training.reference_plates import arrays_of, reference_maps

    with np.load(PLATES_PATH, allow_pickle=False) as stored:
        for item in reference_maps():
            for key, values in arrays_of(item).items():
                there = stored[f"{item.surface.structure.key}_{key}"]
                np.testing.assert_allclose(there, values, atol=1e-3, err_msg=key)


def test_the_pose_of_a_bone_is_found_once_and_again_when_the_bone_has_moved() -> None:
    tibia = reference_bone_map(Structure.TIBIA).surface
    knee = alignment(np.eye(4), Side.RIGHT)
    first = pose_of(tibia, knee)
    assert first is not None
    assert pose_of(replace(tibia, points_mm=tibia.points_mm.copy()), knee) is first
    there = pose_of(replace(tibia, points_mm=tibia.points_mm + 30.0), knee)
    assert there is not None
    shift = there.to_reference(tibia.points_mm + 30.0) - first.to_reference(tibia.points_mm)
    assert np.abs(shift).max() < 0.01

"""Bones of one knee are chosen together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from pipeline.alignment import align_knee
from pipeline.anatomy import Side, Structure
from pipeline.errors import OptionsError, TwoKnees
from pipeline.one_knee import LEAST_MM3, one_knee
from pipeline.surface import bone_surface
from pipeline.types import Segmentation
from tests.support.knees import coarse_knee, mirrored, reference_knee, tibia_unsplit
from tests.support.two_knees import beside, on_longer_grid, two_knees


def changed(knee: Segmentation, labels: np.ndarray) -> Segmentation:
    return Segmentation(labels=labels.astype(np.uint8), grid=knee.grid, model_id="changed")


def moved(knee: Segmentation, structures: tuple[Structure, ...], voxels: tuple[int, int, int]) -> np.ndarray:
    """(z, y, x) labels of these structures alone, moved."""
    return ndimage.shift(np.where(knee.mask(*structures), knee.labels, 0), voxels, order=0)


PATELLA = (Structure.PATELLA, Structure.PATELLAR_CARTILAGE)


@pytest.mark.parametrize(
    "made",
    [coarse_knee, lambda: mirrored(coarse_knee()), reference_knee, lambda: tibia_unsplit(coarse_knee())],
    ids=["coarse", "mirrored", "reference", "tibia unsplit"],
)
def test_a_whole_knee_is_left_as_it_is(made: Callable[[], Segmentation]) -> None:
    knee = made()
    assert one_knee(knee) is knee
    assert one_knee(knee, "1") is knee


def test_a_second_knee_cannot_be_chosen_where_there_is_one() -> None:
    with pytest.raises(OptionsError, match="the image shows 1"):
        one_knee(coarse_knee(), "2")


@pytest.mark.slow
@pytest.mark.parametrize("kept", [1.0, 0.85])
def test_two_knees_are_named_and_each_is_found_whole(kept: float) -> None:
    """Even knees, and knees of which one is cut by the field of view."""
    both, right, left = two_knees(kept=kept, knee=coarse_knee())
    with pytest.raises(TwoKnees, match="2 knees") as caught:
        one_knee(both)
    knees = caught.value.facts["knees"]
    assert isinstance(knees, list)
    assert [(item["knee"], item["side"]) for item in knees] == [("1", "right"), ("2", "left")]
    assert knees[0]["centre_mm"][0] < knees[1]["centre_mm"][0], "the patient's right has the lower x in LPS"
    for number, alone, side in (("1", right, Side.RIGHT), ("2", left, Side.LEFT)):
        found = one_knee(both, number)
        assert np.array_equal(found.labels, alone.labels)
        assert found.warnings == (), "the other knee is no part that was left out of this one"
        assert align_knee(bone_surface(found, Structure.FEMUR)).side is side


def test_a_larger_tibia_of_the_other_leg_is_not_taken() -> None:
    knee = coarse_knee()
    labels, there = beside(knee)
    own = labels == Structure.TIBIA
    labels[there][own[: labels[there].shape[0]]] = Structure.TIBIA
    low = np.flatnonzero(own.any(axis=(0, 2)))
    labels[: there.start, low[len(low) // 2] :] *= labels[: there.start, low[len(low) // 2] :] != Structure.TIBIA
    expected = labels.copy()
    expected[there] = 0
    found = one_knee(on_longer_grid(labels, knee.grid))
    assert np.array_equal(found.labels, expected)


def test_a_patella_behind_the_thigh_is_removed_with_its_cartilage() -> None:
    knee = coarse_knee()
    behind = moved(knee, PATELLA, (0, 0, 70))
    assert (behind == Structure.PATELLA).sum() > 125
    without = np.where(knee.mask(*PATELLA), 0, knee.labels)
    labels = np.where(without > 0, without, behind)
    assert np.array_equal(one_knee(changed(knee, labels)).labels, np.where(np.isin(labels, PATELLA), 0, labels))


@pytest.mark.parametrize(("shift", "kept"), [(70, False), (0, True)])
def test_a_small_part_of_a_patella_is_kept_only_in_front(shift: int, kept: bool) -> None:
    """Smaller than other candidates, as where the border of the image cuts a patella."""
    knee = coarse_knee()
    places = np.argwhere(knee.labels == Structure.PATELLA)
    small = np.zeros(knee.labels.shape, bool)
    small[tuple(places[(abs(places - places.mean(axis=0)) <= 2).all(axis=1)].T)] = True
    labels = np.where(knee.mask(*PATELLA), 0, knee.labels)
    labels[ndimage.shift(small, (0, 0, shift), order=0) & (labels == 0)] = Structure.PATELLA
    count = int((labels == Structure.PATELLA).sum())
    assert 0 < count * knee.grid.voxel_volume_mm3 < LEAST_MM3
    assert (one_knee(changed(knee, labels)).labels == Structure.PATELLA).sum() == (count if kept else 0)


def test_the_patella_in_front_is_kept_beside_a_larger_one_behind() -> None:
    knee = coarse_knee()
    behind = ndimage.binary_dilation(moved(knee, PATELLA, (0, 0, 70)) > 0, iterations=2)
    labels = np.where((knee.labels == 0) & behind, int(Structure.PATELLA), knee.labels)
    labels = np.where(ndimage.binary_dilation(knee.labels > 0, iterations=2) & (knee.labels == 0), 0, labels)
    assert np.array_equal(one_knee(changed(knee, labels)).labels, knee.labels)


@pytest.mark.parametrize(
    "bone",
    [Structure.FEMUR, *(pytest.param(bone, marks=pytest.mark.slow) for bone in (Structure.TIBIA, Structure.PATELLA))],
)
def test_a_bottle_beside_the_knee_is_removed(bone: Structure) -> None:
    knee = coarse_knee()
    labels, there = beside(knee)
    z, y, x = np.ogrid[: labels.shape[0], : labels.shape[1], : labels.shape[2]]
    middle = there.start + 22
    bottle = (((z - middle) * 2) ** 2 + ((x - labels.shape[2] / 2) * 1.2) ** 2 < 35**2) & (
        abs(y - labels.shape[1] / 2) < 45
    )
    expected = labels.copy()
    labels[bottle] = bone
    assert (labels == bone).sum() > (expected == bone).sum(), "the bottle adds voxels"
    found = one_knee(on_longer_grid(labels, knee.grid))
    assert np.array_equal(found.labels, expected)
    assert any("left out" in text and bone.title.lower() in text for text in found.warnings)


def test_a_knee_without_other_parts_has_no_warning() -> None:
    knee = coarse_knee()
    assert one_knee(knee) is knee
    assert not knee.warnings


def test_a_growth_plate_does_not_divide_a_bone() -> None:
    knee = coarse_knee()
    femur = np.flatnonzero((knee.labels == Structure.FEMUR).any(axis=(0, 2)))
    middle = femur[len(femur) // 3]
    labels = knee.labels.copy()
    gap = labels[:, middle : middle + 3]  # 3.6 mm
    gap[gap == Structure.FEMUR] = 0
    divided = changed(knee, labels)
    assert one_knee(divided) is divided


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [20, 40])
def test_a_flexed_knee_is_one_knee(degrees: float) -> None:
    """The tibia turned about the condyles of the reference knee."""
    knee = reference_knee()
    turn = np.radians(degrees)
    matrix = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    index = knee.grid.affine
    back = np.linalg.inv(index[:3, :3]) @ matrix @ index[:3, :3]
    centre = knee.grid.to_index(np.array([[0.0, 8.0, 0.0]]))[0]
    tibia = ndimage.affine_transform(
        (knee.labels == Structure.TIBIA).astype(np.uint8), back, centre - back @ centre, order=0
    )
    bent = changed(knee, np.where(np.isin(knee.labels, (0, 2)), tibia * int(Structure.TIBIA), knee.labels))
    assert (bent.labels == Structure.TIBIA).sum() > 0.5 * (knee.labels == Structure.TIBIA).sum()
    assert one_knee(bent) is bent


def test_labels_without_a_femur_are_left_as_they_are() -> None:
    knee = coarse_knee()
    tibia = changed(knee, np.where(knee.labels == Structure.TIBIA, 2, 0))
    assert one_knee(tibia) is tibia

"""The installed reference knee, and the averaging algorithm on knees with a known mean."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from pipeline.anatomy import BONES, CARTILAGE_OF, Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.expert_maps import Knee, one_visit_each
from training.reference_knee import average, condyle_centre, signed_distance, split_plates
from training.sample import read_reference

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STRUCTURES = [*BONES, *(plate for plates in CARTILAGE_OF.values() for plate in plates)]


@cache
def reference() -> tuple[LabelArray, Grid]:
    return read_reference(ROOT / "models" / "reference_knee" / "labels.nrrd")


def points(structure: Structure) -> np.ndarray:
    labels, grid = reference()
    return grid.to_mm(np.argwhere(labels == structure))


def test_it_is_small_canonical_and_on_an_axis_aligned_grid() -> None:
    labels, grid = reference()
    assert set(np.unique(labels)) == {0, *STRUCTURES}
    assert np.array_equal(grid.direction, np.eye(3))
    assert set(grid.spacing_mm) == {0.5}
    assert (ROOT / "models" / "reference_knee" / "labels.nrrd").stat().st_size < 1e6


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.key)
def test_every_structure_is_one_piece_without_holes(structure: Structure) -> None:
    mask = reference()[0] == structure
    assert ndimage.label(mask)[1] == 1
    assert np.array_equal(ndimage.binary_fill_holes(mask), mask)


def test_it_is_a_right_knee_in_the_frame_of_its_card() -> None:
    medial, lateral = points(Structure.MEDIAL_TIBIAL_CARTILAGE), points(Structure.LATERAL_TIBIAL_CARTILAGE)
    assert medial[:, 0].min() > 0 > lateral[:, 0].max()
    assert np.ptp(medial[:, 1]) > np.ptp(lateral[:, 1])  # the medial plateau is the longer one: so +x is medial
    assert points(Structure.PATELLA)[:, 0].mean() < 0  # the patella sits towards the lateral side
    assert points(Structure.PATELLA)[:, 1].max() < points(Structure.FEMUR)[:, 1].mean()
    assert points(Structure.FEMUR)[:, 2].mean() > 0 > points(Structure.TIBIA)[:, 2].max()


def test_its_origin_is_midway_between_the_condyles() -> None:
    labels, grid = reference()
    bone = labels == Structure.FEMUR
    covered = bone & ndimage.binary_dilation(labels == Structure.FEMORAL_CARTILAGE)
    edge = grid.to_mm(np.argwhere(covered))
    left, right = condyle_centre(edge[edge[:, 0] > 0]), condyle_centre(edge[edge[:, 0] < 0])
    assert np.abs(0.5 * (left + right)).max() < 1.5
    assert abs(left[1] - right[1]) < 1.5


def test_plates_cover_trochlea_and_both_condyles_and_touch_their_bones() -> None:
    labels, _ = reference()
    cartilage = points(Structure.FEMORAL_CARTILAGE)
    for side in (-1, 1):
        behind = cartilage[(cartilage[:, 0] * side > 8) & (cartilage[:, 1] > 8)]
        assert len(behind) * 0.125 > 1000.0  # mm3 on each posterior condyle
    assert len(cartilage[(np.abs(cartilage[:, 0]) < 8) & (cartilage[:, 1] < -15)]) * 0.125 > 500.0
    for bone, plates in CARTILAGE_OF.items():
        for plate in plates:
            near = ndimage.binary_dilation(labels == bone, iterations=2)
            touching = np.count_nonzero(near & (labels == plate)) * 0.125 / 2.0
            assert touching > 300.0


def test_a_signed_distance_crosses_zero_between_voxels() -> None:
    mask = np.zeros((1, 1, 40), bool)
    mask[..., 10:30] = True
    field = signed_distance(mask, 0.5, 3.0)[0, 0]
    assert field[9] == 500
    assert field[10] == -500
    assert field[0] == 3000
    assert field[20] == -3000


def slab_knee(name: str, thickness: int) -> tuple[Knee, Grid]:
    """Three bones, each with a plate on top; thickness: in voxels of 0.5 mm."""
    grid = Grid(shape=(60, 72, 36), spacing_mm=(0.5, 0.5, 0.5), origin_mm=np.zeros(3), direction=np.eye(3))
    labels = np.zeros(grid.shape, np.uint8)
    for n, (bone, plates) in enumerate(CARTILAGE_OF.items()):
        here = labels[:, 24 * n + 2 : 24 * n + 22, 2:34]
        here[4:30] = bone
        here[30 : 30 + thickness] = plates[0]
    return Knee(name=name, labels=labels, grid=grid, points={}), grid


def test_the_average_of_thin_and_thick_plates_has_their_mean_thickness() -> None:
    knees = [slab_knee(str(t), t)[0] for t in (3, 4, 5)]
    labels = average(knees, [np.eye(4)] * 3, [None] * 3, slab_knee("", 1)[1], 1)
    for n, (bone, plates) in enumerate(CARTILAGE_OF.items()):
        column = labels[:, 24 * n + 12, 18]
        assert np.count_nonzero(column == plates[0]) == 4
        assert np.count_nonzero(column == bone) == 26


def test_the_plate_on_the_medial_side_is_labelled_medial() -> None:
    labels = np.zeros((3, 9, 30), np.uint8)
    labels[1, 2:7, 3:12] = labels[1, 2:7, 18:27] = Structure.MEDIAL_TIBIAL_CARTILAGE
    parted = split_plates(labels)
    assert set(np.unique(parted[..., :15])) == {0, Structure.LATERAL_TIBIAL_CARTILAGE}
    assert set(np.unique(parted[..., 15:])) == {0, Structure.MEDIAL_TIBIAL_CARTILAGE}


def test_only_the_first_visit_of_each_knee_counts(tmp_path: Path) -> None:
    for name in ("7_96m", "7_00m", "3_36m"):
        (tmp_path / f"{name}.nii.gz").touch()
    assert [p.name for p in one_visit_each(tmp_path)] == ["3_36m.nii.gz", "7_00m.nii.gz"]

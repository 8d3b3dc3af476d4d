"""Post-processing: one component per bone, no holes, cartilage only on its bone."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.segmentation.postprocess import clean
from pipeline.types import Segmentation

SHAPE = (40, 50, 60)
_A = np.radians(20)
DIRECTION = np.array([[np.cos(_A), -np.sin(_A), 0], [np.sin(_A), np.cos(_A), 0], [0, 0, 1.0]])


def _knee() -> np.ndarray:
    """Two boxes of bone, a plate on each, and an anterior patella."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[22:38, 10:40, 10:50] = Structure.FEMUR
    labels[20:22, 10:40, 10:50] = Structure.FEMORAL_CARTILAGE
    labels[2:16, 10:40, 10:50] = Structure.TIBIA
    labels[16:18, 10:40, 10:28] = Structure.MEDIAL_TIBIAL_CARTILAGE
    labels[16:18, 10:40, 32:50] = Structure.LATERAL_TIBIAL_CARTILAGE
    labels[24:34, 1:6, 24:36] = Structure.PATELLA
    labels[24:34, 6:8, 24:36] = Structure.PATELLAR_CARTILAGE
    labels[18:20, 12:20, 12:20] = Structure.MEDIAL_MENISCUS
    return labels


def _cleaned(labels: np.ndarray, spacing_mm: tuple[float, float, float] = (0.7, 0.4, 0.5)) -> np.ndarray:
    grid = Grid(shape=SHAPE, spacing_mm=spacing_mm, origin_mm=np.zeros(3), direction=DIRECTION)
    given = Segmentation(labels=labels, grid=grid, model_id="test", confidence={Structure.FEMUR: 0.9})
    before = labels.copy()
    found = clean(given)
    assert np.array_equal(labels, before), "the input was changed"
    assert found.confidence == given.confidence
    assert np.array_equal(clean(found).labels, found.labels), "a second time changed something"
    return found.labels


def test_a_clean_knee_is_unchanged() -> None:
    assert np.array_equal(_cleaned(_knee()), _knee())


def test_small_bone_components_are_removed_and_holes_filled() -> None:
    labels = _knee()
    labels[0:2, 0:4, 0:4] = Structure.FEMUR
    labels[39, 45:, 55:] = Structure.TIBIA
    labels[28:31, 20:24, 20:24] = 0
    labels[6, 20, 20] = Structure.PATELLAR_CARTILAGE
    labels[8, 20, 30] = Structure.LATERAL_TIBIAL_CARTILAGE
    assert np.array_equal(_cleaned(labels), _knee())


def test_menisci_far_from_the_tibia_and_specks_of_them_are_removed() -> None:
    labels = _knee()
    labels[38:40, 0:8, 0:8] = Structure.MEDIAL_MENISCUS
    labels[18, 30, 30] = Structure.MEDIAL_MENISCUS
    assert np.array_equal(_cleaned(labels), _knee())


def test_a_small_component_inside_another_bone_is_relabelled() -> None:
    labels = _knee()
    labels[30, 20:22, 20:22] = Structure.TIBIA
    assert np.array_equal(_cleaned(labels), _knee())


def test_cartilage_not_on_its_bone_is_removed() -> None:
    labels = _knee()
    labels[0:2, 44:48, 50:58] = Structure.FEMORAL_CARTILAGE  # away from all bones
    labels[2:12, 41:44, 20:30] = Structure.FEMORAL_CARTILAGE  # behind the tibia
    labels[36:39, 4:7, 40:46] = Structure.PATELLAR_CARTILAGE  # near the femur, far from the patella
    assert np.array_equal(_cleaned(labels), _knee())


def test_a_tiny_cartilage_component_is_removed_and_a_larger_one_kept() -> None:
    labels = _knee()
    labels[30, 40, 30:32] = Structure.FEMORAL_CARTILAGE  # 2 voxels, 0.3 mm3
    assert np.array_equal(_cleaned(labels), _knee())
    labels = _knee()
    labels[24:36, 40:42, 15:45] = Structure.FEMORAL_CARTILAGE
    assert np.array_equal(_cleaned(labels), labels)


def test_an_open_cavity_is_filled_only_in_thick_slices() -> None:
    labels = _knee()
    labels[28:31, 20:24, 10:14] = 0  # a lateral cavity, closed in the planes across axis 2
    assert np.array_equal(_cleaned(labels), labels)
    assert np.array_equal(_cleaned(labels, (0.6, 0.6, 4.0)), _knee())


def test_in_thick_slices_thin_spurs_are_removed_and_corners_kept() -> None:
    labels = _knee()
    spacing = (0.6, 0.6, 4.0)  # slices along the last axis
    labels[30, 40:48, 20] = Structure.FEMUR  # a thin spur in a slice
    labels[30:34, 10:14, 50] = Structure.FEMUR  # a tiny component in a slice, next to the bone of another slice
    found = _cleaned(labels, spacing)
    assert not (found[:, 42:, 20] == Structure.FEMUR).any()
    assert not (found[:, :, 50] == Structure.FEMUR).any()
    assert np.array_equal(found[:, :40], _knee()[:, :40]), "corners stay"
    thin = _cleaned(labels, (0.6, 0.6, 0.7))
    assert (thin[30, 40:48, 20] == Structure.FEMUR).all(), "a spur may be real where slices are thin"


@pytest.mark.parametrize("missing", [Structure.PATELLA, Structure.FEMUR])
def test_cartilage_without_its_bone_is_removed(missing: Structure) -> None:
    labels = _knee()
    labels[labels == missing] = 0
    cartilage = Structure.PATELLAR_CARTILAGE if missing is Structure.PATELLA else Structure.FEMORAL_CARTILAGE
    found = _cleaned(labels)
    assert not (found == cartilage).any()
    assert ((found == 0) == ((labels == 0) | (labels == cartilage))).all()


def test_an_empty_label_map_stays_empty() -> None:
    assert not _cleaned(np.zeros(SHAPE, np.uint8)).any()

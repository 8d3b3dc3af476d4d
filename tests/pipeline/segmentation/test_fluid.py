"""Fluid that a network labelled as cartilage is removed where it is bright, and nothing else is."""

from __future__ import annotations

import numpy as np

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.segmentation.fluid import without_fluid
from pipeline.types import Segmentation

SHAPE = (30, 40, 40)
GRID = Grid(shape=SHAPE, spacing_mm=(0.7, 0.6, 0.6), origin_mm=np.zeros(3), direction=np.eye(3))
CARTILAGE, FLUID, MARROW = 100.0, 320.0, 30.0


def _labels() -> np.ndarray:
    """Two bones with a plate of four voxels each, and a gap of four between the plates."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[21:30, 5:35, 5:35] = Structure.FEMUR
    labels[17:21, 5:35, 5:35] = Structure.FEMORAL_CARTILAGE
    labels[9:13, 5:35, 5:35] = Structure.MEDIAL_TIBIAL_CARTILAGE
    labels[0:9, 5:35, 5:35] = Structure.TIBIA
    return labels


def _image(labels: np.ndarray, *, fluid: float) -> np.ndarray:
    """As the labels are drawn; the gap is fluid."""
    level = np.zeros(256, np.float32)
    level[[Structure.FEMUR, Structure.TIBIA]] = MARROW
    level[[Structure.FEMORAL_CARTILAGE, Structure.MEDIAL_TIBIAL_CARTILAGE]] = CARTILAGE
    image = level[labels]
    image[13:17, 5:35, 5:35] = fluid
    noise = np.random.default_rng(1).normal(0.0, 8.0, SHAPE)
    return np.asarray(image + noise, np.float32)


def _without(found: np.ndarray, image: np.ndarray) -> np.ndarray:
    before = found.copy()
    cleaned = without_fluid(Segmentation(labels=found, grid=GRID, model_id="test"), image).labels
    assert np.array_equal(found, before), "the input was changed"
    return cleaned


def _swollen(labels: np.ndarray) -> np.ndarray:
    """An answer in which two voxels of the fluid belong to each plate."""
    found = labels.copy()
    found[15:17, 8:30, 8:30] = Structure.FEMORAL_CARTILAGE
    found[13:15, 10:35, 5:20] = Structure.MEDIAL_TIBIAL_CARTILAGE
    return found


def test_bright_fluid_is_taken_out_of_both_plates() -> None:
    assert np.array_equal(_without(_swollen(_labels()), _image(_labels(), fluid=FLUID)), _labels())


def test_a_warning_states_how_much_of_a_plate_was_fluid() -> None:
    found, image = _swollen(_labels()), _image(_labels(), fluid=FLUID)
    given = Segmentation(labels=found, grid=GRID, model_id="test", warnings=("before",))
    # 968 of 4,568 voxels of the femoral plate, 750 of 4,350 of the tibial one
    assert without_fluid(given, image).warnings == (
        "before",
        "Femoral cartilage: 21% of the network's outline was as bright as fluid and was left out.",
        "Tibial cartilage: 17% of the network's outline was as bright as fluid and was left out.",
    )
    assert without_fluid(given, _image(_labels(), fluid=CARTILAGE)).warnings == ("before",)


def test_fluid_is_found_where_a_coil_makes_a_plate_brighter_than_the_femoral_one() -> None:
    image = _image(_labels(), fluid=FLUID)
    image[:15] *= 1.9  # the tibial side; its cartilage is then nearly twice as bright as the femoral
    found = _without(_swollen(_labels()), image)
    assert np.array_equal(found, _labels())


def test_nothing_changes_where_fluid_is_not_bright() -> None:
    found = _swollen(_labels())
    assert np.array_equal(_without(found, _image(_labels(), fluid=1.6 * CARTILAGE)), found)


def test_a_bright_lesion_inside_a_plate_stays_cartilage() -> None:
    labels = _labels()
    image = _image(labels, fluid=20.0)
    image[10:12, 15:25, 15:25] = FLUID
    assert np.array_equal(_without(labels, image), labels)


def test_specks_of_noise_stay_cartilage() -> None:
    labels = _labels()
    image = _image(labels, fluid=20.0)
    rng = np.random.default_rng(2)
    image[rng.random(SHAPE) < 0.01] = FLUID
    assert np.array_equal(_without(labels, image), labels)


def test_labels_without_femoral_cartilage_are_unchanged() -> None:
    labels = _labels()
    labels[labels == Structure.FEMORAL_CARTILAGE] = 0
    assert np.array_equal(_without(labels, _image(labels, fluid=FLUID)), labels)

"""Existing label maps."""

import numpy as np
import pytest

from pipeline.anatomy import NUMBERINGS, Structure
from pipeline.errors import EmptyImage, UnsupportedImage
from pipeline.grid import Grid
from pipeline.labels import canonical_labels
from pipeline.types import Scan

GRID = Grid(shape=(10, 11, 12), spacing_mm=(0.7, 0.4, 0.4), origin_mm=np.zeros(3), direction=np.eye(3))


@pytest.mark.parametrize("numbering", NUMBERINGS.values(), ids=NUMBERINGS)
def test_every_declared_label_becomes_its_structure(numbering):
    labels = np.zeros(GRID.shape, dtype=np.uint16)
    declared = sorted(numbering.to_canonical)
    labels.reshape(-1)[: len(declared)] = declared
    found = canonical_labels(labels, GRID, numbering, None)
    assert found.labels.reshape(-1)[: len(declared)].tolist() == [int(numbering.to_canonical[n]) for n in declared]
    assert not found.labels.reshape(-1)[len(declared) :].any()
    assert found.compartments_apart == numbering.compartments_apart


def test_bone_lesions_of_expert_maps_belong_to_their_bones():
    labels = np.zeros(GRID.shape, dtype=np.uint16)
    labels.reshape(-1)[:3] = (7, 8, 9)
    found = canonical_labels(labels, GRID, NUMBERINGS["oai"], None).labels.reshape(-1)[:3]
    assert found.tolist() == [Structure.FEMUR, Structure.TIBIA, Structure.PATELLA]


def test_an_undeclared_label_is_an_error_that_names_it():
    labels = np.full(GRID.shape, 42, dtype=np.uint16)
    with pytest.raises(UnsupportedImage, match="contains 42, which the numbering 'oai' does not declare"):
        canonical_labels(labels, GRID, NUMBERINGS["oai"], None)


def test_an_empty_label_map_is_rejected():
    with pytest.raises(EmptyImage, match="only background"):
        canonical_labels(np.zeros(GRID.shape, dtype=np.uint16), GRID, NUMBERINGS["canonical"], None)


def test_a_label_map_on_another_grid_than_its_scan_is_rejected():
    moved = Grid(shape=GRID.shape, spacing_mm=GRID.spacing_mm, origin_mm=np.ones(3), direction=np.eye(3))
    scan = Scan(echoes=np.zeros((1, *GRID.shape), dtype=np.float32), grid=moved)
    with pytest.raises(UnsupportedImage, match="same grid"):
        canonical_labels(np.ones(GRID.shape, dtype=np.uint16), GRID, NUMBERINGS["canonical"], scan)

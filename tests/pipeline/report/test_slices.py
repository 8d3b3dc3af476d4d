"""Slices of the contact sheet have the right orientation for any storage order."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from pipeline.anatomy import Side, Structure
from pipeline.grid import Grid
from pipeline.planes import PLANES, axis_order, edge_letters
from pipeline.report.slices import Slice, slices
from pipeline.types import AnalysisResult
from tests.support.report_phantom import MIDDLE_MM, label_map, oblique_grid, phantom


def stored(result: AnalysisResult, order: tuple[int, ...], flips: tuple[bool, ...]) -> AnalysisResult:
    """The same knee with transposed and reversed arrays and the matching grid."""

    def turn(array: np.ndarray) -> np.ndarray:
        moved = array.transpose(order)
        return np.ascontiguousarray(moved[tuple(slice(None, None, -1 if flip else 1) for flip in flips)])

    grid = result.segmentation.grid
    columns = grid.direction[:, ::-1][:, list(order)] * np.where(flips, -1.0, 1.0)
    corner = np.zeros(3)
    for axis, flip in zip(order, flips, strict=True):
        corner[axis] = grid.shape[axis] - 1 if flip else 0
    moved = Grid(
        shape=tuple(grid.shape[k] for k in order),
        spacing_mm=tuple(grid.spacing_mm[k] for k in order),
        origin_mm=grid.to_mm(corner[None])[0],
        direction=columns[:, ::-1],
    )
    assert result.scan is not None
    return replace(
        result,
        segmentation=replace(result.segmentation, labels=turn(result.segmentation.labels), grid=moved),
        scan=replace(result.scan, echoes=turn(result.scan.echoes[0])[None], grid=moved),
    )


def by_plane(items: list[Slice]) -> dict[str, list[Slice]]:
    return {plane.title: [item for item in items if item.caption.startswith(plane.title)] for plane in PLANES}


STORAGE = [(order, flips) for order in permutations(range(3)) for flips in product((False, True), repeat=3)]


@pytest.mark.slow
@pytest.mark.parametrize(("order", "flips"), STORAGE[::5], ids=str)
def test_the_sheet_does_not_depend_on_how_the_voxels_are_stored(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    result = phantom()
    usual, other = by_plane(list(slices(result))), by_plane(list(slices(stored(result, order, flips))))
    for plane in PLANES:
        for here, there in zip(usual[plane.title], other[plane.title], strict=True):
            assert np.array_equal(here.labels, there.labels)
            assert here.image is not None
            assert there.image is not None
            assert np.array_equal(here.image, there.image)
            assert here.letters == there.letters
            assert here.spacing_mm == there.spacing_mm


def test_pictures_are_radiological() -> None:
    found = by_plane(list(slices(phantom())))

    def place(item: Slice, structure: Structure) -> tuple[float, float]:
        rows, columns = np.nonzero(item.labels == structure)
        return float(rows.mean()), float(columns.mean())

    sagittal = max(found["Sagittal"], key=lambda item: int((item.labels == Structure.PATELLA).sum()))
    assert place(sagittal, Structure.PATELLA)[1] < place(sagittal, Structure.FEMUR)[1]
    assert place(sagittal, Structure.FEMUR)[0] < place(sagittal, Structure.TIBIA)[0]
    coronal = max(found["Coronal"], key=lambda item: int((item.labels == Structure.MEDIAL_TIBIAL_CARTILAGE).sum()))
    # a right knee's medial side is towards the patient's left, which is on the right of the picture
    medial, lateral = Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE
    assert place(coronal, medial)[1] > place(coronal, lateral)[1]
    axial = max(found["Axial"], key=lambda item: int((item.labels == Structure.PATELLA).sum()))
    assert place(axial, Structure.PATELLA)[0] < place(axial, Structure.FEMUR)[0]
    assert sagittal.letters[3].startswith("A")
    assert coronal.letters[3].startswith("R")
    assert axial.letters[0].startswith("A")


def test_sagittal_slices_are_named_by_compartment_on_both_sides() -> None:
    result = phantom()
    right = by_plane(list(slices(result)))["Sagittal"]
    left = by_plane(list(slices(replace(result, alignment=replace(result.alignment, side=Side.LEFT)))))["Sagittal"]
    # slices run to the patient's left: to the medial side of a right knee, to the lateral side of a left one
    assert right[-1].caption.endswith("medial")
    assert right[0].caption.endswith("lateral")
    assert left[-1].caption.endswith("lateral")
    assert left[0].caption.endswith("medial")


def test_letters_come_from_the_direction() -> None:
    assert edge_letters(np.array([1.0, 0.0, 0.0])) == "L"
    assert edge_letters(np.array([0.0, -1.0, 0.0])) == "A"
    assert edge_letters(np.array([0.0, 0.8, -0.6])) == "PI"
    assert edge_letters(np.array([-0.95, 0.3, 0.0])) == "R"


def test_array_axes_are_found_on_an_oblique_grid() -> None:
    assert axis_order(oblique_grid()) == (0, 2, 1)


def test_a_scan_on_another_grid_is_sampled_at_the_labels_voxels() -> None:
    result = phantom()
    grid = result.segmentation.grid
    fine = Grid(
        shape=(40, 60, 58),
        spacing_mm=(1.7, 1.7, 1.7),
        origin_mm=MIDDLE_MM - np.array([49.0, 51.0, 34.0]),
        direction=np.eye(3),
    )
    index = np.stack(np.meshgrid(*[np.arange(n) for n in fine.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    ramp = (fine.to_mm(index) @ [2.0, -1.0, 0.5]).astype(np.float32).reshape(fine.shape)
    assert result.scan is not None
    other = replace(result, scan=replace(result.scan, echoes=ramp[None], grid=fine))
    item = by_plane(list(slices(other)))["Axial"][2]
    # the ramp's value falls by the same amount from voxel to voxel wherever the fine grid covers the slice
    assert item.image is not None
    inner = item.image[20:-20, 8:-8]
    assert np.abs(np.diff(inner, axis=0) - np.diff(inner, axis=0).mean()).max() < 1e-2
    step = np.array([2.0, -1.0, 0.5]) @ grid.direction[:, 0] * grid.spacing_mm[2]
    assert np.isclose(abs(np.diff(inner, axis=0).mean()), abs(step), rtol=1e-3)


def test_the_phantoms_labels_are_at_the_expected_positions() -> None:
    grid = oblique_grid()
    centre = np.rint(grid.to_index(MIDDLE_MM[None] + [0, 0, 20])[0]).astype(int)
    assert label_map(grid)[tuple(centre)] == Structure.FEMUR

"""Label maps as NIfTI and NRRD, and the tables that name their labels."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from pipeline.anatomy import REGIONS, SCHEMES, Structure
from pipeline.grid import Grid
from pipeline.report.volumes import itksnap_table, label_rows, slicer_table, write_nifti, write_nrrd
from tests.support.report_phantom import label_map, oblique_grid, rotation


def left_handed_grid() -> Grid:
    direction = rotation(-23.0, (1.0, 0.2, 0.7)) @ np.diag([1.0, -1.0, 1.0])
    return Grid(shape=(9, 7, 5), spacing_mm=(3.0, 0.5, 0.7), origin_mm=np.array([9.1, -4.2, 71.3]), direction=direction)


GRIDS = {"oblique sagittal": oblique_grid(), "oblique left-handed": left_handed_grid()}


def voxels(grid: Grid) -> np.ndarray:
    return np.random.default_rng(3).integers(0, np.array(grid.shape), (40, 3))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_sform_and_qform_of_the_nifti_agree_with_the_grid(grid: Grid, tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 10, grid.shape).astype(np.uint8)
    write_nifti(tmp_path / "labels.nii.gz", labels, grid)
    image = nibabel.load(tmp_path / "labels.nii.gz")
    index = voxels(grid)
    truth = grid.to_mm(index) * [-1, -1, 1]
    assert image.get_data_dtype() == np.uint8
    for name in ("sform", "qform"):
        assert int(image.header[f"{name}_code"]) == 1
        affine = getattr(image, f"get_{name}")()
        assert np.abs(nibabel.affines.apply_affine(affine, index[:, ::-1]) - truth).max() < 2e-4
    stored = np.asarray(image.dataobj)
    assert np.array_equal(stored[tuple(index[:, ::-1].T)], labels[tuple(index.T)])


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_the_nrrd_keeps_the_geometry_with_full_precision(grid: Grid, tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 10, grid.shape).astype(np.uint8)
    write_nrrd(tmp_path / "labels.nrrd", labels, grid)
    image = SimpleITK.ReadImage(str(tmp_path / "labels.nrrd"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), labels)
    for index in voxels(grid):
        point = image.TransformIndexToPhysicalPoint([int(k) for k in index[::-1]])
        assert np.abs(point - grid.to_mm(index[None])[0]).max() < 1e-10


def test_nifti_and_nrrd_are_the_same_image_to_itk(tmp_path: Path) -> None:
    grid = oblique_grid()
    labels = label_map(grid)
    write_nifti(tmp_path / "labels.nii.gz", labels, grid)
    write_nrrd(tmp_path / "labels.nrrd", labels, grid)
    nifti, nrrd = (SimpleITK.ReadImage(str(tmp_path / name)) for name in ("labels.nii.gz", "labels.nrrd"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(nifti), SimpleITK.GetArrayFromImage(nrrd))
    assert np.allclose(nifti.GetOrigin(), nrrd.GetOrigin(), atol=1e-4)
    assert np.allclose(nifti.GetDirection(), nrrd.GetDirection(), atol=1e-6)


def test_an_nrrd_of_another_type_is_rejected(tmp_path: Path) -> None:
    grid = oblique_grid()
    with pytest.raises(ValueError, match="uint8"):
        write_nrrd(tmp_path / "x.nrrd", np.zeros(grid.shape, dtype=np.int16), grid)


def test_every_structure_and_region_is_in_both_label_tables() -> None:
    expected = {int(s) for s in Structure} | {r.label for scheme in SCHEMES for r in scheme.numbered}
    assert {row[0] for row in label_rows()} == expected
    snap = [line for line in itksnap_table().splitlines() if not line.startswith("#")]
    assert {int(line.split()[0]) for line in snap} == expected | {0}
    for line in snap:
        fields = line.split('"')[0].split()
        assert len(fields) == 7
        assert all(0 <= int(channel) <= 255 for channel in fields[1:4])
    slicer = [line.split() for line in slicer_table().splitlines() if not line.startswith("#")]
    assert {int(fields[0]) for fields in slicer} == expected | {0}
    assert all(len(fields) == 6 for fields in slicer)
    assert len({fields[1] for fields in slicer}) == len(slicer)


def test_the_label_tables_have_the_colours_of_the_anatomy_table() -> None:
    colours = {label: colour for label, _, colour in label_rows()}
    assert colours[Structure.FEMUR] == Structure.FEMUR.colour
    for region in REGIONS:
        assert colours[region.label] == region.colour

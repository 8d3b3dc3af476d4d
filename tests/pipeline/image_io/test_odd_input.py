"""Unusual but readable input, and requirements for label maps."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.errors import EmptyImage, UnsupportedImage
from pipeline.image_io import read_label_map, read_scan, require_content
from tests.support.image_io_writers import make_phantom, write_enhanced, write_nifti

GREY = np.random.default_rng(1).integers(0, 99, (16, 16, 12)).astype(np.int16)
COARSE = np.diag([0.5, 0.5, 3.0, 1.0])


def nifti_with(voxels: np.ndarray, folder: Path, affine: np.ndarray = COARSE) -> Path:
    """Voxels in (x, y, z, ...) order."""
    nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def test_a_few_nan_voxels_become_zero_with_a_warning(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(5, 1, size=(16, 16, 12)).astype(np.float32)
    voxels[3, 4, 5], voxels[0, 0, 0] = np.nan, np.inf
    scan = read_scan(nifti_with(voxels, tmp_path))
    assert scan.echoes[0, 5, 4, 3] == scan.echoes[0, 0, 0, 0] == 0
    assert any("2 of 3,072" in warning for warning in scan.warnings)


def test_values_outside_float32_count_as_infinite(tmp_path: Path) -> None:
    voxels = np.full((16, 16, 12), 3.0)
    voxels[1, 1, 1] = 1e300
    scan = read_scan(nifti_with(voxels, tmp_path))
    assert scan.echoes.max() == 3.0
    assert any("1 of 3,072" in warning for warning in scan.warnings)


def test_an_unusual_field_of_view_gives_a_warning(tmp_path: Path) -> None:
    small = read_scan(nifti_with(GREY, tmp_path))
    knee = read_scan(nifti_with(GREY, tmp_path, np.diag([9.0, 9.0, 9.0, 1.0])))
    assert any("Field of view is 36 x 8 x 8 mm" in warning for warning in small.warnings)
    assert knee.warnings == ()


def test_an_image_without_orientation_is_read_with_a_warning(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(GREY, None)
    image.header.set_zooms((0.5, 0.6, 3.0))
    nibabel.save(image, tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    assert scan.grid.spacing_mm == pytest.approx((3.0, 0.6, 0.5))
    assert any("orientation" in warning for warning in scan.warnings)


def test_an_all_zero_nifti_is_readable_but_empty(tmp_path: Path) -> None:
    scan = read_scan(nifti_with(np.zeros((16, 16, 16), np.int16), tmp_path))
    with pytest.raises(EmptyImage, match="4,096 voxels have the value 0"):
        require_content(scan)
    require_content(read_scan(write_nifti(make_phantom(1), tmp_path / "b.nii")))


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (GREY + 0.5, "non-integer"),
        (GREY - 10, "from -10"),
        (GREY.astype(np.int32) * 1000, "expected 0 to 65,535"),
        (np.stack([GREY, GREY], axis=-1), "2 layers"),
    ],
)
def test_an_image_that_is_not_a_label_map_is_rejected(voxels: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match=message):
        read_label_map(nifti_with(voxels, tmp_path))


def test_a_dicom_file_is_no_label_map(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="NIfTI, NRRD or MetaImage"):
        read_label_map(write_enhanced(make_phantom(1), tmp_path / "a"))

"""A NIfTI header states its geometry up to three times: which one is used, and the warnings."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.image_io import read_scan
from pipeline.types import Scan
from tests.support.image_io_writers import make_phantom, write_nifti

Change = Callable[[nibabel.Nifti1Header], None]
TRUE_SPACING = tuple(make_phantom(1).spacing_xyz[::-1])


def read(folder: Path, change: Change) -> Scan:
    """A phantom's scan with a header modified at byte level, as by programs that bypass a library's checks."""
    path = write_nifti(make_phantom(1), folder / "a.nii")
    image = nibabel.load(path)
    affine = image.affine
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    nibabel.save(image, folder / "both.nii")
    data = bytearray((folder / "both.nii").read_bytes())
    header = nibabel.Nifti1Header(bytes(data[:348]), check=False)
    change(header)
    data[:348] = header.binaryblock
    (folder / "b.nii.gz").write_bytes(gzip.compress(bytes(data)))
    return read_scan(folder / "b.nii.gz")


def scaled(factor: float) -> Change:
    def change(header: nibabel.Nifti1Header) -> None:
        for row in "xyz":
            header[f"srow_{row}"] = header[f"srow_{row}"] * factor

    return change


@pytest.mark.parametrize("factor", [0.85, 1.12, 1.02])
def test_a_scaled_sform_is_replaced_by_the_qform_with_a_warning(factor: float, tmp_path: Path) -> None:
    scan = read(tmp_path, scaled(factor))
    assert np.allclose(scan.grid.spacing_mm, TRUE_SPACING, rtol=1e-5)
    reported = next(text for text in scan.warnings if "sform" in text)
    for spacing in (TRUE_SPACING[::-1], [size * factor for size in TRUE_SPACING[::-1]]):
        assert " x ".join(f"{size:.4g}" for size in spacing) in reported


def test_rounding_gives_no_warning(tmp_path: Path) -> None:
    scan = read(tmp_path, scaled(1.0 + 2e-6))
    assert not [text for text in scan.warnings if "contradicts" in text]


def test_a_sheared_sform_is_replaced_by_the_qform(tmp_path: Path) -> None:
    def shear(header: nibabel.Nifti1Header) -> None:
        header["sform_code"] = 4
        row = header["srow_x"].copy()
        header["srow_x"] = row + 0.12 * header["srow_y"]

    scan = read(tmp_path, shear)
    assert np.allclose(scan.grid.spacing_mm, TRUE_SPACING, rtol=1e-5)
    assert any("qform was used" in text for text in scan.warnings)


def test_mirrored_transforms_make_the_side_unknown(tmp_path: Path) -> None:
    def mirror(header: nibabel.Nifti1Header) -> None:
        header["srow_x"] = -header["srow_x"]

    scan = read(tmp_path, mirror)
    assert any("mirror image" in text and "side cannot be trusted" in text for text in scan.warnings)


def test_an_sform_that_contradicts_pixdim_gives_a_warning(tmp_path: Path) -> None:
    def alone(header: nibabel.Nifti1Header) -> None:
        header["qform_code"] = 0
        scaled(1.12)(header)

    assert any("pixdim says" in text for text in read(tmp_path, alone).warnings)


def test_a_quaternion_too_long_by_rounding_is_normalised(tmp_path: Path) -> None:
    def lengthen(header: nibabel.Nifti1Header) -> None:
        header["sform_code"] = 0
        header["quatern_b"], header["quatern_c"], header["quatern_d"] = 0.0, 0.0, 1.000001

    scan = read(tmp_path, lengthen)
    assert np.allclose(scan.grid.spacing_mm, TRUE_SPACING, rtol=1e-5)
    assert np.allclose(scan.grid.direction, np.eye(3), atol=1e-5)  # 180 degrees about z in RAS is LPS


def test_a_negative_voxel_size_is_read_without_its_sign(tmp_path: Path) -> None:
    def negate(header: nibabel.Nifti1Header) -> None:
        header["sform_code"] = 0
        header["pixdim"][2] = -header["pixdim"][2]

    assert np.allclose(read(tmp_path, negate).grid.spacing_mm, TRUE_SPACING, rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "words"), [("vox_offset", 100.0, "byte 100"), ("scl_slope", np.inf, "slope inf")]
)
def test_a_replaced_header_value_gives_a_warning(field: str, value: float, words: str, tmp_path: Path) -> None:
    def damage(header: nibabel.Nifti1Header) -> None:
        header[field] = value

    scan = read(tmp_path, damage)
    assert any(words in text for text in scan.warnings)
    assert scan.echoes.max() == make_phantom(1).echoes.max()

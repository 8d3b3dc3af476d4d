"""A NIfTI header states its geometry up to three times: which one is used, and the warnings."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.errors import UnreadableImage
from pipeline.image_io import read_scan
from pipeline.image_io.nifti_geometry import NiftiGeometry, read_geometry
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


SIZES = np.array([0.3, 0.4, 0.7])


def header(
    *, sform: np.ndarray | None = None, qform: np.ndarray | None = None, **fields: object
) -> nibabel.Nifti1Header:
    """A header with these RAS axes (columns, times SIZES) in both transforms."""
    made = nibabel.Nifti1Header()
    made.set_data_shape((20, 20, 20))
    made.set_zooms(SIZES)
    for setter, axes in ((made.set_sform, sform), (made.set_qform, qform)):
        affine = np.eye(4)
        if axes is not None:
            affine[:3, :3] = np.asarray(axes) * SIZES
            affine[:3, 3] = (5, -6, 7)
            setter(affine, code=1)
    for name, value in fields.items():
        made[name] = value
    return made


def assert_axes(found: NiftiGeometry, axes: np.ndarray, unit_mm: float = 1.0) -> None:
    """The steps and the origin, in LPS."""
    flip = np.array([-1.0, -1, 1])
    np.testing.assert_allclose(found.steps_mm, flip[:, None] * axes * SIZES * unit_mm, atol=1e-5)
    np.testing.assert_allclose(found.origin_mm, flip * (5, -6, 7) * unit_mm, atol=1e-5)


RAS = np.eye(3)
ROLLED = np.eye(3)[[2, 0, 1]]  # the axes run to A, S, R
TURNED = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, 0.28, -0.96], [0, 0.96, 0.28]])


@pytest.mark.parametrize("axes", [RAS, ROLLED, TURNED, TURNED.T, ROLLED @ TURNED], ids=range(5))
def test_each_transform_alone_and_both_together_give_the_same_geometry(axes: np.ndarray) -> None:
    for made in (header(sform=axes), header(qform=axes), header(sform=axes, qform=axes)):
        found = read_geometry(made)
        assert found.warnings == ()
        assert_axes(found, axes)


def test_a_mirrored_quaternion_runs_along_the_negative_third_axis() -> None:
    made = header(qform=TURNED)
    made["pixdim"][0] = -1.0
    assert_axes(read_geometry(made), TURNED * (1, 1, -1))


@pytest.mark.parametrize(("code", "unit_mm"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001), (8 + 1, 1000.0)])
def test_lengths_are_read_in_the_unit_of_the_header(code: int, unit_mm: float) -> None:
    assert_axes(read_geometry(header(sform=TURNED, xyzt_units=code)), TURNED, unit_mm)


def test_an_unknown_unit_or_a_transform_without_numbers_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="unit of length 5"):
        read_geometry(header(sform=RAS, xyzt_units=5))
    with pytest.raises(UnreadableImage, match="sform"):
        read_geometry(header(sform=RAS, srow_y=[0, np.nan, 0, 0]))


def test_transforms_along_different_axes_are_named_in_words() -> None:
    mirrored = read_geometry(header(sform=RAS * (-1, 1, 1), qform=RAS)).warnings
    assert len(mirrored) == 1
    assert "by its sform the axes run to LAS, by its qform to RAS, which is the mirror image" in mirrored[0]
    found = read_geometry(header(sform=ROLLED, qform=RAS))
    assert "by its sform the axes run to ASR, by its qform to RAS; the sform was used." in found.warnings[0]
    assert_axes(found, ROLLED)
    turned = read_geometry(header(sform=RAS * (-1, -1, 1), qform=RAS)).warnings
    assert "by its sform the axes run to LPS, by its qform to RAS; the sform was used." in turned[0]


def test_an_sform_without_an_axis_is_replaced_by_the_qform() -> None:
    flat = header(sform=RAS, qform=TURNED, srow_x=[0, 0, 0, 5])
    with np.errstate(all="raise"):
        found = read_geometry(flat)
    assert "the qform was used" in found.warnings[0]
    assert_axes(found, TURNED)


def test_a_quaternion_that_is_no_rotation_is_not_used() -> None:
    long = {"quatern_b": 1.2, "quatern_c": 0.0, "quatern_d": 0.0}
    with pytest.raises(UnreadableImage, match="not a rotation"):
        read_geometry(header(qform=RAS, **long))
    for other in (long, {"qoffset_x": np.nan}, {"quatern_d": np.inf}):
        found = read_geometry(header(sform=TURNED, qform=RAS, **other))
        assert found.warnings == ()
        assert_axes(found, TURNED)


def test_without_a_code_the_voxel_sizes_alone_are_used() -> None:
    found = read_geometry(header())
    assert "side cannot be trusted" in found.warnings[0]
    assert np.linalg.norm(found.steps_mm, axis=0) == pytest.approx(SIZES)

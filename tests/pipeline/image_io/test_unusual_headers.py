"""Headers as some programs write them: read without loss, or refused with what to do."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.errors import UnreadableImage
from pipeline.image_io import read_scan
from tests.support.image_io_writers import affine_lps, make_phantom, write_dicom, write_nifti, write_old_multiframe

PHANTOM = make_phantom(1, echoes=3)


def test_a_nifti_with_a_first_axis_of_one_voxel_is_read_with_a_warning(tmp_path: Path) -> None:
    """Some programs store the channel first, and with it the voxel sizes of the wrong axes."""
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(PHANTOM.echoes[0].T[None], np.diag([1.0, 2.5, 2.5, 1.0])), path)
    scan = read_scan(path)
    assert np.array_equal(scan.echoes[0], PHANTOM.echoes[0])
    assert any("Check the voxel size" in text for text in scan.warnings)


def test_the_fifth_dimension_of_a_nifti_holds_echoes(tmp_path: Path) -> None:
    path = write_nifti(PHANTOM, tmp_path / "a.nii.gz")
    affine = nibabel.load(path).affine
    nibabel.save(
        nibabel.Nifti1Image(PHANTOM.echoes.transpose(3, 2, 1, 0)[:, :, :, None], affine), tmp_path / "b.nii.gz"
    )
    assert np.array_equal(read_scan(tmp_path / "b.nii.gz").echoes, PHANTOM.echoes)


@pytest.mark.parametrize("vector", ["none", "(none)", "(nan,nan,nan)", "(NaN,NaN,NaN)"])
def test_an_nrrd_axis_without_direction_holds_echoes(vector: str, tmp_path: Path) -> None:
    steps = affine_lps(PHANTOM)[:3, :3].T
    vectors = " ".join(f"({','.join(map(repr, step.tolist()))})" for step in steps)
    sizes = " ".join(map(str, PHANTOM.echoes.shape[::-1]))
    header = (
        f"NRRD0004\ntype: short\ndimension: 4\nendian: little\nencoding: raw\nspace: left-posterior-superior\n"
        f"sizes: {sizes}\nspace directions: {vectors} {vector}\nkinds: domain domain domain list\n"
        f"space origin: ({','.join(map(repr, PHANTOM.origin.tolist()))})\n\n"
    )
    path = tmp_path / "a.nrrd"
    path.write_bytes(header.encode() + PHANTOM.echoes.astype("<i2").tobytes())
    scan = read_scan(path)
    assert np.array_equal(scan.echoes, PHANTOM.echoes)
    assert np.allclose(scan.grid.affine[:3, :3], steps.T[:, ::-1])


def test_frames_placed_by_the_first_position_alone_have_a_warning(tmp_path: Path) -> None:
    scan = read_scan(write_old_multiframe(PHANTOM, tmp_path / "a.dcm"))
    assert np.array_equal(scan.echoes[0], PHANTOM.echoes[0])
    assert any("mirrored" in text for text in scan.warnings)


def test_decimal_commas_in_dicom_are_named(tmp_path: Path) -> None:
    folder = write_dicom(make_phantom(1), tmp_path / "s")
    for path in folder.iterdir():
        data = path.read_bytes()
        start = data.index(b"\x28\x00\x30\x00DS")
        end = start + 8 + int.from_bytes(data[start + 6 : start + 8], "little")
        path.write_bytes(data[:start] + data[start:end].replace(b".", b",") + data[end:])
    with pytest.raises(UnreadableImage, match=r"decimal comma \(PixelSpacing\)") as refused:
        read_scan(folder)
    assert refused.value.hint

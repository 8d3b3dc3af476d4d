"""Each fault of a file, a NIfTI or an NRRD has a specific error."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from pipeline.errors import (
    AmbiguousSeries,
    NoImageSeries,
    UnreadableImage,
    UnsupportedImage,
)
from pipeline.image_io import read_scan
from tests.support.image_io_refusals import Build, Case, assert_refused, file_with, truncated
from tests.support.image_io_writers import (
    itk_image,
    make_phantom,
    write_nifti,
    write_nrrd,
)


def bad_checksum(build: Build) -> Build:
    """Flip the checksum in the last 8 bytes of a gzip stream."""

    def damage(folder: Path) -> Path:
        path = build(folder)
        data = bytearray(path.read_bytes())
        data[-6] ^= 0xFF
        path.write_bytes(bytes(data))
        return path

    return damage


def nifti_with(voxels: np.ndarray, affine: np.ndarray | None = None) -> Build:
    """Voxels in (x, y, z, ...) order."""

    def build(folder: Path) -> Path:
        image = nibabel.Nifti1Image(voxels, np.diag([0.5, 0.5, 3, 1]) if affine is None else affine)
        nibabel.save(image, folder / "a.nii.gz")
        return folder / "a.nii.gz"

    return build


def many_not_finite(folder: Path) -> Path:
    """Missing values in the centre, which cannot be outside the field of view."""
    voxels = np.random.default_rng(0).normal(size=(16, 16, 12)).astype(np.float32)
    voxels[6:10, 6:8, 4:9] = np.nan
    return nifti_with(voxels)(folder)


def flat_nifti(folder: Path) -> Path:
    """An sform whose first axis has length 0."""
    path = nifti_with(GREY)(folder)
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[280:292] = bytes(12)  # srow_x
    path.write_bytes(gzip.compress(bytes(data)))
    return path


def nrrd_header(extra: str, data: bytes = b"") -> Build:
    text = "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 12 12 12\nendian: little\n" + extra + "\n"
    return file_with(text.encode() + data)


def itk_file(image: SimpleITK.Image, name: str) -> Build:
    def build(folder: Path) -> Path:
        SimpleITK.WriteImage(image, str(folder / name))
        return folder / name

    return build


def two_volumes(folder: Path) -> Path:
    (folder / "s").mkdir()
    write_nifti(make_phantom(1), folder / "s" / "a.nii")
    write_nrrd(make_phantom(1), folder / "s" / "b.nrrd")
    return folder / "s"


def declares_more(folder: Path) -> Path:
    """A NIfTI header with twice the number of slices of the file."""
    path = write_nifti(make_phantom(1), folder / "a.nii")
    data = bytearray(path.read_bytes())
    data[40 + 6 : 40 + 8] = struct.pack("<h", 24)
    path.write_bytes(bytes(data))
    return path


def nifti(folder: Path) -> Path:
    return write_nifti(make_phantom(1, shape=(20, 40, 40)), folder / "a.nii.gz")


def nrrd(folder: Path) -> Path:
    return write_nrrd(make_phantom(1, shape=(20, 40, 40)), folder / "a.nrrd")


RGB = np.zeros((16, 16, 12), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
GREY = np.random.default_rng(1).integers(0, 99, (16, 16, 12)).astype(np.int16)


CASES: dict[str, Case] = {
    # what the file is
    "empty file": (UnreadableImage, "empty", file_with(b"")),
    "unknown file": (UnreadableImage, "not recognised", file_with(b"JFIF" * 200)),
    "no file": (UnreadableImage, "No such", lambda folder: folder / "nothing.nii"),
    "gzip cut at the start": (UnreadableImage, "cut off", file_with(gzip.compress(b"x" * 900)[:14])),
    "header without voxels": (
        UnsupportedImage,
        "two files",
        file_with(struct.pack("<i", 348) + b"\0" * 340 + b"ni1\0"),
    ),
    "empty folder": (NoImageSeries, "None of", lambda folder: folder),
    # NIfTI
    "nifti.gz cut off": (UnreadableImage, "cut off", truncated(nifti, 0.6)),
    "nifti.gz without its end": (UnreadableImage, "damaged or cut off", truncated(nifti, 0.9999)),
    "nifti.gz checksum": (UnreadableImage, "checksum", bad_checksum(nifti)),
    "nifti declares more": (UnreadableImage, "declares 9,984 bytes .* found 4,992", declares_more),
    "nifti 2D": (UnsupportedImage, "dimension", nifti_with(GREY[:, :, 0])),
    "nifti few slices": (UnsupportedImage, "9 slices .* at least 10", nifti_with(GREY[:, :, :9])),
    "nifti time series": (UnsupportedImage, "20 entries", nifti_with(np.zeros((12, 12, 12, 20), np.int16))),
    "nifti 5D": (UnsupportedImage, "5 dimensions", nifti_with(np.zeros((12, 12, 12, 2, 3), np.float32))),
    "nifti colour": (UnsupportedImage, "colours", nifti_with(RGB)),
    "nifti complex": (UnsupportedImage, "complex", nifti_with(GREY.astype(np.complex64))),
    "nifti NaN": (UnreadableImage, "40 of 3,072", many_not_finite),
    "nifti spacing in wrong unit": (
        UnsupportedImage,
        "spacing .* unit",
        nifti_with(GREY, np.diag([3e-4, 3e-4, 3e-3, 1])),
    ),
    "nifti coarse": (UnsupportedImage, "spacing is 0.5 x 0.5 x 12 mm", nifti_with(GREY, np.diag([0.5, 0.5, 12, 1]))),
    "nifti degenerate": (UnsupportedImage, "spacing", flat_nifti),
    # NRRD
    "nrrd cut off": (UnreadableImage, "cut off", truncated(nrrd, 0.6)),
    "nrrd checksum": (UnreadableImage, "checksum", bad_checksum(nrrd)),
    "nrrd header cut off": (UnreadableImage, "header", truncated(nrrd, 0.001)),
    "nrrd detached": (UnsupportedImage, "two files", nrrd_header("encoding: raw\ndata file: /etc/passwd\n")),
    "nrrd detached, other spelling": (
        UnsupportedImage,
        "two files",
        nrrd_header("encoding: raw\nDataFile: LIST\n/etc/passwd\n"),
    ),
    "nrrd detached, unended": (UnsupportedImage, "two files", file_with(b"NRRD0004\ndatafile: /etc/passwd\n")),
    "nrrd without orientation fields": (UnreadableImage, "spacings", nrrd_header("encoding: raw\n")),
    "nrrd few bytes": (
        UnreadableImage,
        "declares 3,456 .* found 100",
        nrrd_header("encoding: raw\nspace directions: (1,0,0) (0,1,0) (0,0,3)\n", b"a" * 100),
    ),
    "nrrd colour": (
        UnsupportedImage,
        "colours",
        itk_file(SimpleITK.GetImageFromArray(np.zeros((12, 12, 12, 3), np.uint8), isVector=True), "a.nrrd"),
    ),
    "two volumes": (AmbiguousSeries, "2 scans", two_volumes),
}


@pytest.mark.parametrize("name", CASES)
def test_each_file_fault_has_a_specific_error_and_leaves_no_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(CASES[name], tmp_path, monkeypatch)


def test_a_detached_nrrd_never_reads_the_referenced_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(make_phantom(1).echoes.tobytes())
    SimpleITK.WriteImage(itk_image(make_phantom(1)), str(tmp_path / "a.nhdr"))
    with pytest.raises(UnsupportedImage, match="two files"):
        read_scan(tmp_path / "a.nhdr")

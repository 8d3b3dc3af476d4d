"""Each fault has its own error, which says what, found and expected, and leaves nothing behind."""

from __future__ import annotations

import gzip
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from image_io_writers import (
    PATIENT,
    ds,
    itk_image,
    make_phantom,
    write_dicom,
    write_enhanced,
    write_nifti,
    write_nrrd,
    write_old_multiframe,
    zip_of,
)
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from pipeline.errors import (
    AmbiguousSeries,
    EmptyImage,
    IncompleteSeries,
    InputError,
    NoImageSeries,
    UnreadableImage,
    UnsafeArchive,
    UnsupportedImage,
)
from pipeline.image_io import archive, read_label_map, read_scan, require_content

Build = Callable[[Path], Path]


def dicom(**attributes: object) -> Build:
    """A series whose every slice carries these attributes; None removes one."""

    def change(data: Dataset, *_: int) -> None:
        for name, value in attributes.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)

    return lambda folder: write_dicom(make_phantom(1), folder / "s", change=change)


def slice_of(z: int, echo: int = 0, *, echoes: int = 1, **attributes: object) -> Build:
    """A series of which one slice carries these attributes."""

    def change(data: Dataset, e: int, k: int) -> None:
        if (e, k) == (echo, z):
            for name, value in attributes.items():
                setattr(data, name, value)

    return lambda folder: write_dicom(make_phantom(1, echoes=echoes), folder / "s", change=change)


def without(*names: str, echoes: int = 1) -> Build:
    """A series of which some files are missing (written in order, 12 an echo)."""

    def build(folder: Path) -> Path:
        path = folder / "s"

        def numbered(data: Dataset, e: int, z: int) -> None:
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.{e}.{z + 1}"

        write_dicom(make_phantom(1, echoes=echoes), path, change=numbered)
        import pydicom

        for file in path.iterdir():
            if pydicom.dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID in names:
                file.unlink()
        return path

    return build


def shifted_slice(folder: Path) -> Path:
    def change(data: Dataset, _: int, z: int) -> None:
        if z == 5:
            data.ImagePositionPatient = [float(v) + 1.0 for v in data.ImagePositionPatient]

    return write_dicom(make_phantom(1), folder / "s", change=change)


def tilted_slice(folder: Path) -> Path:
    def change(data: Dataset, _: int, z: int) -> None:
        if z == 5:
            row, column = np.array(data.ImageOrientationPatient, dtype=float).reshape(2, 3)
            angle = np.radians(2)
            tilted = np.cos(angle) * column + np.sin(angle) * np.cross(row, column)
            data.ImageOrientationPatient = ds([*row, *tilted])

    return write_dicom(make_phantom(1), folder / "s", change=change)


def doubled(folder: Path) -> Path:
    uid = generate_uid()
    write_dicom(make_phantom(1), folder / "s", uid=uid)
    write_dicom(make_phantom(1), folder / "s" / "again", uid=uid)
    return folder / "s"


def half_other_spacing(folder: Path) -> Path:
    def change(data: Dataset, _: int, z: int) -> None:
        if z >= 12:
            data.PixelSpacing = [0.31, 0.31]

    phantom = make_phantom(1, shape=(24, 13, 16))
    phantom.spacing_xyz[:2] = 0.3
    return write_dicom(phantom, folder / "s", change=change)


def truncated(build: Build, keep: float) -> Build:
    def cut(folder: Path) -> Path:
        path = build(folder)
        file = sorted(path.iterdir())[3] if path.is_dir() else path
        file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
        return path

    return cut


def bad_checksum(build: Build) -> Build:
    """Flip the checksum in the last 8 bytes of a gzip stream."""

    def damage(folder: Path) -> Path:
        path = build(folder)
        data = bytearray(path.read_bytes())
        data[-6] ^= 0xFF
        path.write_bytes(bytes(data))
        return path

    return damage


def file_with(content: bytes) -> Build:
    def build(folder: Path) -> Path:
        path = folder / f"{PATIENT}.nii.gz"
        path.write_bytes(content)
        return path

    return build


def nifti_with(voxels: np.ndarray, affine: np.ndarray | None = None) -> Build:
    """Voxels in (x, y, z, ...) order."""

    def build(folder: Path) -> Path:
        image = nibabel.Nifti1Image(voxels, np.diag([0.5, 0.5, 3, 1]) if affine is None else affine)
        nibabel.save(image, folder / "a.nii.gz")
        return folder / "a.nii.gz"

    return build


def many_not_finite(folder: Path) -> Path:
    voxels = np.random.default_rng(0).normal(size=(16, 16, 12)).astype(np.float32)
    voxels.reshape(-1)[:40] = np.nan
    return nifti_with(voxels)(folder)


def flat_nifti(folder: Path) -> Path:
    """An sform whose first axis has no length."""
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


def archive_of(*entries: tuple[str, bytes], mode: int = 0) -> Build:
    def build(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in entries:
                info = zipfile.ZipInfo(name)
                info.external_attr = mode << 16
                packed.writestr(info, content)
        return folder / "a.zip"

    return build


def encrypted_archive(folder: Path) -> Path:
    path = archive_of(("a.nii", b"x" * 400))(folder)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    return path


def two_volumes(folder: Path) -> Path:
    (folder / "s").mkdir()
    write_nifti(make_phantom(1), folder / "s" / "a.nii")
    write_nrrd(make_phantom(1), folder / "s" / "b.nrrd")
    return folder / "s"


def nested_archive(folder: Path) -> Path:
    inner = zip_of(write_nifti(make_phantom(1), folder / "a.nii"), folder / "inner.zip")
    return zip_of(inner, folder / "outer.zip")


def deflated(folder: Path) -> Path:
    def change(data: Dataset, *_: int) -> None:
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    return write_dicom(make_phantom(1), folder / "s", change=change)


def promises_more(folder: Path) -> Path:
    """A NIfTI header with twice the slices that the file has."""
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

CASES: dict[str, tuple[type[InputError], str, Build]] = {
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
    "nifti promises more": (UnreadableImage, "promises 9,984 bytes .* found 4,992", promises_more),
    "nifti 2D": (UnsupportedImage, "dimension", nifti_with(GREY[:, :, 0])),
    "nifti few slices": (UnsupportedImage, "9 slices .* at least 10", nifti_with(GREY[:, :, :9])),
    "nifti time series": (UnsupportedImage, "20 entries", nifti_with(np.zeros((12, 12, 12, 20), np.int16))),
    "nifti 5D": (UnsupportedImage, "5 dimensions", nifti_with(np.zeros((12, 12, 12, 1, 3), np.float32))),
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
        "promises 3,456 .* found 100",
        nrrd_header("encoding: raw\nspace directions: (1,0,0) (0,1,0) (0,0,3)\n", b"a" * 100),
    ),
    "nrrd colour": (
        UnsupportedImage,
        "colours",
        itk_file(SimpleITK.GetImageFromArray(np.zeros((12, 12, 12, 3), np.uint8), isVector=True), "a.nrrd"),
    ),
    # DICOM
    "ct": (UnsupportedImage, "modality found: CT", dicom(Modality="CT")),
    "dicom colour": (UnsupportedImage, "colour", dicom(SamplesPerPixel=3, PhotometricInterpretation="RGB")),
    "no position": (UnsupportedImage, "no position", dicom(ImagePositionPatient=None)),
    "one slice without position": (IncompleteSeries, "without position", slice_of(3, ImageOrientationPatient=[])),
    "no voxels": (UnreadableImage, "missing", dicom(PixelData=None)),
    "few slices": (UnsupportedImage, "9 found", lambda f: write_dicom(make_phantom(1, shape=(9, 8, 8)), f / "s")),
    "single slice": (
        UnsupportedImage,
        "1 found",
        lambda f: next(iter(write_dicom(make_phantom(1), f / "s").iterdir())),
    ),
    "slice missing": (IncompleteSeries, "found 11, expected 12", without("1.2.0.5")),
    "slice missing in one echo": (IncompleteSeries, "11 at 13 ms", without("1.2.1.5", echoes=2)),
    "slice missing in all echoes": (IncompleteSeries, "found 11, expected 12", without("1.2.0.5", "1.2.1.5", echoes=2)),
    "slice shifted": (IncompleteSeries, "gap|aside", shifted_slice),
    "positions doubled": (IncompleteSeries, "24 images lie at 12", doubled),
    "one orientation differs": (IncompleteSeries, "missing", slice_of(4, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])),
    "one slice tilted by 2 degrees": (IncompleteSeries, "disagree", tilted_slice),
    "one matrix differs": (
        IncompleteSeries,
        "disagree|missing",
        slice_of(4, Rows=26, Columns=32, PixelData=b"\0\0" * 26 * 32),
    ),
    "half with other spacing": (IncompleteSeries, "disagree", half_other_spacing),
    "dicom cut in the voxels": (UnreadableImage, "cut off", truncated(dicom(), 0.95)),
    "dicom cut in the header": (UnreadableImage, "cut off within its header", truncated(dicom(), 0.4)),
    "enhanced cut off": (
        UnreadableImage,
        "cut off",
        truncated(lambda f: write_enhanced(make_phantom(1), f / "a"), 0.9),
    ),
    "multi-frame without gap": (
        UnsupportedImage,
        "distance",
        lambda f: write_old_multiframe(make_phantom(1), f / "a", gap=False),
    ),
    "deflated": (UnsupportedImage, "deflated", deflated),
    "two volumes": (AmbiguousSeries, "2 scans", two_volumes),
    # zip
    "zip without image": (NoImageSeries, "None of", archive_of(("a.txt", b"hello"), ("b.txt", b"hello"))),
    "zip empty": (NoImageSeries, "no files", archive_of()),
    "zip with litter only": (NoImageSeries, "no files", archive_of(("__MACOSX/a", b"x"), (".DS_Store", b"x"))),
    "zip escaping": (UnsafeArchive, "out of", archive_of(("../../evil.nii", b"x"))),
    "zip absolute": (UnsafeArchive, "out of", archive_of(("/etc/evil", b"x"))),
    "zip drive": (UnsafeArchive, "out of", archive_of(("C:\\evil", b"x"))),
    "zip backslashes": (UnsafeArchive, "out of", archive_of(("a\\..\\..\\evil", b"x"))),
    "zip link": (UnsafeArchive, "link", archive_of(("a", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777)),
    "zip encrypted": (UnsafeArchive, "encrypted", encrypted_archive),
    "zip in zip": (UnsafeArchive, "another archive", nested_archive),
    "zip cut off": (UnreadableImage, "damaged", truncated(lambda f: zip_of(nifti(f), f / "a.zip"), 0.7)),
    "zip with a cut nifti": (UnreadableImage, "cut off", lambda f: zip_of(truncated(nifti, 0.6)(f), f / "a.zip")),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_has_its_error_and_leaves_nothing_behind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, message, build = CASES[name]
    source, scratch = tmp_path / "server-folder", tmp_path / "scratch"
    source.mkdir()
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = build(source)
    with pytest.raises(error, match=message) as caught:
        read_scan(path)
    assert type(caught.value) is error
    told = f"{caught.value} {caught.value.facts}"
    assert not any(secret in told for secret in ("server-folder", str(tmp_path), "Doe", "4711", "/etc"))
    assert not list(scratch.iterdir())


def test_a_good_archive_leaves_nothing_behind_either(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = zip_of(write_dicom(make_phantom(1), tmp_path / "s"), tmp_path / "a.zip")
    assert read_scan(path, scratch_dir=scratch).echoes.shape == (1, 12, 13, 16)
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 3), ("MAX_BYTES", 4_000)])
def test_an_archive_beyond_its_limits_is_refused(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(UnsafeArchive):
        read_scan(zip_of(write_dicom(make_phantom(1), tmp_path / "s"), tmp_path / "a.zip"), scratch_dir=tmp_path)
    assert not list(tmp_path.glob("unpacked-*"))


def test_an_archive_that_lies_about_its_size_is_stopped_while_inflating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive_of(("bomb.nii", b"\0" * (5 << 20)))(tmp_path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)  # the size that the directory promises
    path.write_bytes(bytes(data))
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000)
    with pytest.raises((UnsafeArchive, UnreadableImage)):
        read_scan(path, scratch_dir=tmp_path)
    assert not list(tmp_path.glob("unpacked-*"))


def test_few_voxels_that_are_no_number_become_zero_with_a_warning(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(5, 1, size=(16, 16, 12)).astype(np.float32)
    voxels[3, 4, 5], voxels[0, 0, 0] = np.nan, np.inf
    scan = read_scan(nifti_with(voxels)(tmp_path))
    assert scan.echoes[0, 5, 4, 3] == scan.echoes[0, 0, 0, 0] == 0
    assert any("2 of 3,072" in warning for warning in scan.warnings)


def test_values_beyond_float32_count_as_infinite(tmp_path: Path) -> None:
    voxels = np.full((16, 16, 12), 3.0)
    voxels[1, 1, 1] = 1e300
    scan = read_scan(nifti_with(voxels)(tmp_path))
    assert scan.echoes.max() == 3.0
    assert any("1 of 3,072" in warning for warning in scan.warnings)


def test_a_field_of_view_that_is_no_knee_is_told(tmp_path: Path) -> None:
    small = read_scan(nifti_with(GREY)(tmp_path))
    knee = read_scan(nifti_with(GREY, np.diag([9.0, 9.0, 9.0, 1.0]))(tmp_path))
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
    scan = read_scan(nifti_with(np.zeros((16, 16, 16), np.int16))(tmp_path))
    with pytest.raises(EmptyImage, match="4,096 voxels have the value 0"):
        require_content(scan)
    require_content(read_scan(nifti(tmp_path)))


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (GREY + 0.5, "whole numbers"),
        (GREY - 10, "from -10"),
        (GREY.astype(np.int32) * 1000, "expected 0 to 65,535"),
        (np.stack([GREY, GREY], axis=-1), "2 layers"),
    ],
)
def test_what_is_no_label_map_is_refused(voxels: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match=message):
        read_label_map(nifti_with(voxels)(tmp_path))


def test_a_dicom_file_is_no_label_map(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="NIfTI or NRRD"):
        read_label_map(write_enhanced(make_phantom(1), tmp_path / "a"))


def test_a_detached_nrrd_never_reaches_the_file_it_names(tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(make_phantom(1).echoes.tobytes())
    SimpleITK.WriteImage(itk_image(make_phantom(1)), str(tmp_path / "a.nhdr"))
    with pytest.raises(UnsupportedImage, match="two files"):
        read_scan(tmp_path / "a.nhdr")

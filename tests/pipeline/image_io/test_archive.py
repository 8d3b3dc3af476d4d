"""Archives: faults are reported, and no files remain on disk."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import (
    NoImageSeries,
    UnreadableImage,
    UnsafeArchive,
)
from pipeline.image_io import archive, read_scan
from tests.support.image_io_refusals import Build, Case, assert_refused, truncated
from tests.support.image_io_writers import (
    make_phantom,
    write_dicom,
    write_nifti,
    zip_of,
)


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


def nested_archive(folder: Path) -> Path:
    inner = zip_of(write_nifti(make_phantom(1), folder / "a.nii"), folder / "inner.zip")
    return zip_of(inner, folder / "outer.zip")


def nifti(folder: Path) -> Path:
    return write_nifti(make_phantom(1, shape=(20, 40, 40)), folder / "a.nii.gz")


CASES: dict[str, Case] = {
    "zip without image": (NoImageSeries, "None of", archive_of(("a.txt", b"hello"), ("b.txt", b"hello"))),
    "zip empty": (NoImageSeries, "no files", archive_of()),
    "zip with litter only": (NoImageSeries, "no files", archive_of(("__MACOSX/a", b"x"), (".DS_Store", b"x"))),
    "zip escaping": (UnsafeArchive, "out of", archive_of(("../../evil.nii", b"x"))),
    "zip absolute": (UnsafeArchive, "out of", archive_of(("/etc/evil", b"x"))),
    "zip drive": (UnsafeArchive, "drive letter", archive_of(("C:\\evil", b"x"))),
    "zip backslashes": (UnsafeArchive, "out of", archive_of(("a\\..\\..\\evil", b"x"))),
    "zip link": (UnsafeArchive, "link", archive_of(("a", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777)),
    "zip encrypted": (UnsafeArchive, "encrypted", encrypted_archive),
    "zip in zip": (UnsafeArchive, "another archive", nested_archive),
    "zip cut off": (UnreadableImage, "damaged", truncated(lambda f: zip_of(nifti(f), f / "a.zip"), 0.7)),
    "zip with a cut nifti": (UnreadableImage, "cut off", lambda f: zip_of(truncated(nifti, 0.6)(f), f / "a.zip")),
}


@pytest.mark.parametrize("name", CASES)
def test_each_archive_fault_has_a_specific_error_and_leaves_no_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(CASES[name], tmp_path, monkeypatch)


def test_a_valid_archive_leaves_no_files(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = zip_of(write_dicom(make_phantom(1), tmp_path / "s"), tmp_path / "a.zip")
    assert read_scan(path, scratch_dir=scratch).echoes.shape == (1, 12, 13, 16)
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 3), ("MAX_BYTES", 4_000)])
def test_an_archive_above_the_limits_is_rejected(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(UnsafeArchive):
        read_scan(zip_of(write_dicom(make_phantom(1), tmp_path / "s"), tmp_path / "a.zip"), scratch_dir=tmp_path)
    assert not list(tmp_path.glob("unpacked-*"))


def test_an_archive_with_a_wrong_size_is_stopped_during_decompression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive_of(("bomb.nii", b"\0" * (5 << 20)))(tmp_path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)  # the size in the directory
    path.write_bytes(bytes(data))
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000)
    with pytest.raises((UnsafeArchive, UnreadableImage)):
        read_scan(path, scratch_dir=tmp_path)
    assert not list(tmp_path.glob("unpacked-*"))

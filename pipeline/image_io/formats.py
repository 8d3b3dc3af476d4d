"""What a file is, by its first bytes; names and extensions are not believed."""

from __future__ import annotations

import gzip
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Final

from pipeline.errors import UnreadableImage, UnsupportedImage

GZIP_MAGIC: Final = b"\x1f\x8b"
_HEAD_BYTES: Final = 560
"""Enough for the longest header that is looked at (NIfTI-2: 540)."""

# First tags of a DICOM file without preamble: group 0002 or 0008, little endian, a low element number.
_BARE_DICOM: Final = (b"\x02\x00\x00\x00", b"\x02\x00\x01\x00", b"\x02\x00\x02\x00", b"\x02\x00\x10\x00")
_BARE_DICOM_IDENTIFYING: Final = tuple(b"\x08\x00" + bytes([element, 0]) for element in (0, 1, 5, 6, 8, 0x12, 0x16))


class Format(StrEnum):
    """File types that are told apart; DETACHED is a header whose voxels lie in another file."""

    NIFTI = "NIfTI"
    NRRD = "NRRD"
    DICOM = "DICOM"
    ZIP = "zip"
    DETACHED = "detached header"


def peek(path: Path) -> Format | None:
    """The file's type, None where it is no type that this product reads (or is damaged at its beginning)."""
    try:
        return _by_magic(_head(path))
    except UnreadableImage:
        return None


def identify(path: Path) -> Format:
    """The file's type.

    Raises UnreadableImage for an empty, damaged or unknown file, UnsupportedImage for a header without its voxels.
    """
    head = _head(path)
    if not head:
        raise UnreadableImage(
            "File is empty (0 bytes); expected NIfTI, NRRD, DICOM or a zip of one of them.",
            hint="The upload or the export may have been cut off.",
        )
    found = _by_magic(head)
    if found is None:
        raise UnreadableImage(
            f"File type not recognised (first bytes {head[:8].hex(' ')}); expected NIfTI, NRRD, DICOM or zip.",
            hint="Export the scan as DICOM or NIfTI.",
        )
    if found is Format.DETACHED:
        raise detached_header()
    return found


def detached_header() -> UnsupportedImage:
    """The error for a header whose voxels are elsewhere (.hdr/.img, .nhdr)."""
    return UnsupportedImage(
        "Header and voxels are in two files; expected one file with both.",
        hint="Save as .nii, .nii.gz or .nrrd.",
    )


def is_gzip(path: Path) -> bool:
    """Whether the file is a gzip stream."""
    with path.open("rb") as stream:
        return stream.read(2) == GZIP_MAGIC


def _head(path: Path) -> bytes:
    """The first bytes, inflated where the file is a gzip stream. Raises UnreadableImage where it cannot be."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head[:2] != GZIP_MAGIC:
        return head
    try:
        with gzip.open(path) as stream:
            return stream.read(_HEAD_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableImage(
            "Compressed file is damaged or cut off at its beginning; expected a complete gzip stream.",
            hint="Upload it again.",
        ) from error


def _by_magic(head: bytes) -> Format | None:
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Format.ZIP
    if head[:7] == b"NRRD000":
        return Format.NRRD
    if head[128:132] == b"DICM":
        return Format.DICOM
    if head[:4] in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c"):  # 348: NIfTI-1, or Analyze without a magic
        return Format.NIFTI if head[344:348] == b"n+1\x00" else Format.DETACHED
    if head[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):  # 540: NIfTI-2
        return Format.NIFTI if head[4:8] == b"n+2\x00" else Format.DETACHED
    if head[:4] in _BARE_DICOM or head[:4] in _BARE_DICOM_IDENTIFYING:
        return Format.DICOM
    return None

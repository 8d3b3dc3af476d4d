"""Identifies a file by its first bytes; names and extensions are ignored."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Final

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.file_kinds import IMAGES, VOLUMES, FileKind, either

GZIP_MAGIC: Final = b"\x1f\x8b"
_HEAD_BYTES: Final = 560
"""Enough for the longest header that is checked (NIfTI-2: 540)."""

_META_IMAGE: Final = re.compile(rb"(ObjectType|NDims|Comment)[ \t]*=")
"""How the header of a MetaImage begins; it has no magic number."""

# First tags of a DICOM file without preamble: group 0002 or 0008, little endian, a low element number.
_BARE_DICOM: Final = (b"\x02\x00\x00\x00", b"\x02\x00\x01\x00", b"\x02\x00\x02\x00", b"\x02\x00\x10\x00")
_BARE_DICOM_IDENTIFYING: Final = tuple(b"\x08\x00" + bytes([element, 0]) for element in (0, 1, 5, 6, 8, 0x12, 0x16))


def peek(path: Path) -> FileKind | None:
    """The kind of the file; None if it is unknown or damaged at the beginning."""
    try:
        return _by_magic(_head(path))
    except UnreadableImage:
        return None


def identify(path: Path) -> FileKind:
    """The kind of the file.

    Raises UnreadableImage for an empty, damaged or unknown file, UnsupportedImage for a header without its voxels.
    """
    head = _head(path)
    if not head:
        raise UnreadableImage(
            f"File is empty (0 bytes); expected {', '.join(IMAGES)} or a {FileKind.ZIP} of one of them.",
            hint="The upload or the export may have been cut off.",
        )
    found = _by_magic(head)
    if found is None:
        raise UnreadableImage(
            f"File type not recognised (first bytes {head[:8].hex(' ')}); expected {either([*IMAGES, FileKind.ZIP])}.",
            hint=f"Export the scan as {FileKind.DICOM} or {FileKind.NIFTI}.",
        )
    if found is FileKind.DETACHED:
        raise detached_header()
    return found


def detached_header() -> UnsupportedImage:
    """The error for a header whose voxels are elsewhere (.hdr/.img, .nhdr)."""
    return UnsupportedImage(
        "Header and voxels are in two files; expected one file with both.",
        hint=f"Save as {either(extension for kind in VOLUMES for extension in kind.extensions)}.",
    )


def is_gzip(path: Path) -> bool:
    """Whether the file is a gzip stream."""
    with path.open("rb") as stream:
        return stream.read(2) == GZIP_MAGIC


def _head(path: Path) -> bytes:
    """The first bytes, decompressed if the file is a gzip stream. Raises UnreadableImage if that fails."""
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


def _by_magic(head: bytes) -> FileKind | None:
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return FileKind.ZIP
    if head[:7] == b"NRRD000":
        return FileKind.NRRD
    if _META_IMAGE.match(head):
        return FileKind.META_IMAGE
    if head[128:132] == b"DICM":
        return FileKind.DICOM
    if head[:4] in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c"):  # 348: NIfTI-1, or Analyze without a magic
        return FileKind.NIFTI if head[344:348] == b"n+1\x00" else FileKind.DETACHED
    if head[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):  # 540: NIfTI-2
        return FileKind.NIFTI if head[4:8] == b"n+2\x00" else FileKind.DETACHED
    if head[:4] in _BARE_DICOM or head[:4] in _BARE_DICOM_IDENTIFYING:
        return FileKind.DICOM
    return None

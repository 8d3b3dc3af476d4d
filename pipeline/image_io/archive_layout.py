"""Checks the layout of a zip before it is opened, because its directory and its entries may be inconsistent."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.errors import UnreadableImage, UnsafeArchive

MAX_ENTRIES: Final = 20_000
MAX_DIRECTORY_BYTES: Final = 32 << 20
"""20,000 entries with names of 1,500 bytes; a larger directory is not loaded."""

_END: Final = struct.Struct("<4s4H2LH")
_END_MAGIC: Final = b"PK\5\6"
_LONGEST_COMMENT: Final = 1 << 16
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC: Final = b"PK\3\4"
_ENCRYPTED: Final = 0x1
_ABSENT: Final = (0xFFFF, 0xFFFFFFFF)
"""Values of end-record fields that are stored in the zip64 record instead."""


def check_end_record(path: Path) -> None:
    """Check the end record of the archive.

    Raises UnsafeArchive (too many entries, directory too large), UnreadableImage (no end record, one of several parts).
    """
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _END.size - _LONGEST_COMMENT))
        tail = stream.read()
    at = tail.rfind(_END_MAGIC)
    if at < 0 or len(tail) - at < _END.size:
        raise UnreadableImage(
            "Zip archive is damaged: its directory is missing; expected a complete zip file.",
            hint="Pack it again, or upload it again.",
        )
    _, disk, first_disk, _, entries, size, _, _ = _END.unpack_from(tail, at)
    if {disk, first_disk} - {0, _ABSENT[0]}:
        raise UnreadableImage(
            "Zip archive is one part of several; expected a single zip file.", hint="Pack it again, in one part."
        )
    if entries != _ABSENT[0] and entries > MAX_ENTRIES:
        raise too_many(entries)
    if size != _ABSENT[1] and size > MAX_DIRECTORY_BYTES:
        raise UnsafeArchive("Archive's directory is far larger than that of a scan.", hint="Pack one scan only.")


def too_many(entries: int) -> UnsafeArchive:
    """The error for an archive with more entries than a study has images."""
    return UnsafeArchive(
        f"Archive has {entries:,} entries; expected at most {MAX_ENTRIES:,}.", hint="Pack one series only."
    )


def check_local_headers(stream: BinaryIO, entries: list[zipfile.ZipInfo]) -> None:
    """Compare the header before each entry's data with the directory, and the entries with each other.

    Raises UnsafeArchive (data shared by entries, hidden encryption), UnreadableImage (inconsistent headers).
    """
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        stream.seek(entry.header_offset)
        block = stream.read(_LOCAL.size)
        if len(block) < _LOCAL.size or block[:4] != _LOCAL_MAGIC:
            raise _contradiction()
        _, _, flags, method, _, _, _, _, _, name, extra = _LOCAL.unpack(block)
        if flags & _ENCRYPTED:
            raise encrypted()
        if method != entry.compress_type:
            raise _contradiction()
        if entry.header_offset < end:
            raise UnsafeArchive("Archive's entries overlap; expected separate data for each.")
        end = entry.header_offset + _LOCAL.size + name + extra + entry.compress_size


def encrypted() -> UnsafeArchive:
    """The error for an archive with a password."""
    return UnsafeArchive("Archive is encrypted; expected one without a password.", hint="Pack it without password.")


def _contradiction() -> UnreadableImage:
    return UnreadableImage(
        "Zip archive is damaged: its directory does not fit its entries; expected a complete zip file.",
        hint="Pack it again, or upload it again.",
    )

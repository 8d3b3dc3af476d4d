"""Unpacks a zip into a private folder under generated names, with a size limit during decompression."""

from __future__ import annotations

import contextlib
import errno
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import NoImageSeries, UnreadableImage, UnsafeArchive
from pipeline.image_io.archive_layout import MAX_ENTRIES, check_end_record, check_local_headers, encrypted, too_many
from pipeline.image_io.disk import disk_errors, require_room

MAX_BYTES: Final = 4 << 30
LARGE_BYTES: Final = 512 << 20
MAX_INFLATION: Final = 50
"""An archive larger than LARGE_BYTES when unpacked may grow by this factor; MR images grow by 2 to 10."""

_CHUNK_BYTES: Final = 1 << 20
_ENCRYPTED: Final = 0x1
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    OverflowError,
)
_IGNORED_NAMES: Final = frozenset({"dicomdir", "thumbs.db", "desktop.ini"})


def is_ignored(name: str) -> bool:
    """Whether a file is not part of the scan: resource forks, folder settings, DICOMDIR."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts) or parts[-1].lower() in _IGNORED_NAMES


@contextlib.contextmanager
def unpacked(path: Path, scratch_dir: Path | None = None) -> Iterator[dict[Path, str]]:
    """The archive's files, each with its name there. They are flat, as 00000, 00001, ..., in a folder inside
    `scratch_dir` that is removed at the end.

    Raises UnsafeArchive (names that leave the folder, links, encryption, too many or too large), UnreadableImage
    (damaged), NoImageSeries (empty), OutOfDisk.
    """
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=scratch_dir) as folder:
        try:
            check_end_record(path)
            with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
                entries = _checked(archive, path.stat().st_size)
                check_local_headers(stream, archive.infolist())
                require_room(Path(folder), sum(entry.file_size for entry in entries))
                with disk_errors():
                    _extract(archive, entries, Path(folder))
        except (*_DAMAGED, OSError) as error:
            # seek fails if the directory points before the start of the file; any other OSError is a system error
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            raise UnreadableImage(
                "Zip archive is damaged or uses an unknown compression; expected a complete zip file.",
                hint="Pack it again, or upload it again.",
            ) from error
        yield {Path(folder, _place(number)): _name(entry) for number, entry in enumerate(entries)}


def _checked(archive: zipfile.ZipFile, archive_bytes: int) -> list[zipfile.ZipInfo]:
    """The entries to unpack, after all checks."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise too_many(len(entries))
    for entry in entries:
        _check_entry(entry)
    wanted = [entry for entry in entries if not entry.is_dir() and not is_ignored(entry.filename)]
    if not wanted:
        raise NoImageSeries("Archive holds no files; expected one scan.")
    promised = sum(entry.file_size for entry in wanted)
    if promised > MAX_BYTES or promised > max(LARGE_BYTES, MAX_INFLATION * archive_bytes):
        raise _too_large(promised)
    return wanted


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = _name(entry)
    if re.match(r"[A-Za-z]:", name):
        raise UnsafeArchive(
            "An entry's name begins with a drive letter; expected plain relative names.",
            hint="Some Windows programs store full paths. Pack the folder again, for example with the file explorer "
            "(Send to, Compressed folder).",
        )
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise UnsafeArchive(
            "The name of an entry points out of the archive's folder; expected plain relative names.",
            hint="Pack the folder again with an ordinary zip program.",
        )
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeArchive("Archive holds a link or device; expected files and folders only.")
    if entry.flag_bits & _ENCRYPTED:
        raise encrypted()
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableImage(
            f"Archive uses compression method {entry.compress_type}; expected stored or deflated.",
            hint="Pack it again with an ordinary zip program.",
        )


def _place(number: int) -> str:
    """A name of our own: none of an archive's is used on this machine."""
    return f"{number:05d}"


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.orig_filename.replace("\\", "/")


def _extract(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path) -> None:
    total = 0
    for number, entry in enumerate(entries):
        size = 0
        with archive.open(entry) as source, (folder / _place(number)).open("xb") as target:
            while block := source.read(_CHUNK_BYTES):
                size += len(block)
                total += len(block)
                if total > MAX_BYTES or size > entry.file_size:
                    raise _too_large(total)
                target.write(block)


def _too_large(found: int) -> UnsafeArchive:
    return UnsafeArchive(
        f"Archive inflates to {found / 2**20:,.0f} MB or more; expected at most {MAX_BYTES / 2**30:g} GB, "
        f"above {LARGE_BYTES / 2**20:g} MB {MAX_INFLATION} times its size, and no more than its directory says.",
        hint="Pack one scan only.",
    )

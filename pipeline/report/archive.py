"""The results zip: the same tree gives the same bytes."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Final

from pipeline.results_tree import artifact_of

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Timestamp of every member: the earliest that zip supports."""

DEFLATE_LEVEL: Final = 1
"""Surfaces are nearly incompressible floats: level 6 takes four times as long for 3 % less."""


def write_archive(files_dir: Path, archive_path: Path, *, root: str) -> None:
    """Pack every file below `files_dir` into `archive_path`, under the one top folder `root`.

    Names are sorted, timestamps and modes are fixed: the same tree gives a byte-identical zip. It is written atomically
    (a temporary name, fsync, rename). Raises ValueError if `root` is not a plain folder name, FileNotFoundError if
    there are no files.
    """
    if not root or root in {".", ".."} or "/" in root or "\\" in root:
        raise ValueError(f"root must be a plain folder name, found {root!r}")
    members = sorted((path.relative_to(files_dir).as_posix(), path) for path in files_dir.rglob("*") if path.is_file())
    if not members:
        raise FileNotFoundError("no result files to pack")
    partial = archive_path.with_name(f".{archive_path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            with zipfile.ZipFile(stream, "w") as archive:
                for name, path in members:
                    archive.writestr(_entry(root, name), path.read_bytes(), compresslevel=DEFLATE_LEVEL)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(archive_path)
    finally:
        partial.unlink(missing_ok=True)


def _entry(root: str, name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(f"{root}/{name}", EPOCH)
    entry.create_system = 3  # Unix, on every platform
    entry.external_attr = 0o644 << 16
    artifact = artifact_of(name)
    stored = artifact is not None and artifact.compressed
    entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    return entry

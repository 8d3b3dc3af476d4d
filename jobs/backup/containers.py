"""A backup as a folder or as a tar file: named regular files, each written once.

Both are written under another name and renamed when they are complete.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol

from jobs.errors import BackupFailed, BackupInvalid, JobConflict

TAR: Final = ".tar"
BLOCK_BYTES: Final = 1 << 20


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Translate errors of the operating system into BackupFailed; also a decorator."""
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"The backup was not completed: {error.strerror or error}.") from error


class Container(Protocol):
    """A backup that is being written."""

    def write(self, name: str, stream: BinaryIO, size: int, modified_s: float) -> None:
        """Store `size` bytes of the stream as a file. modified_s: its time, in seconds since the epoch."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True)

    def write(self, name: str, stream: BinaryIO, size: int, modified_s: float) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, stream, size, modified_s)


class _Tar:
    def __init__(self, file: tarfile.TarFile) -> None:
        self._file = file

    def write(self, name: str, stream: BinaryIO, size: int, modified_s: float) -> None:
        facts = tarfile.TarInfo(name)
        facts.size, facts.mtime, facts.mode = size, modified_s, 0o600
        self._file.addfile(facts, stream)


class BackupWriter:
    """Writes files into a backup. files, size_bytes: what was written so far."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self.files = 0
        self.size_bytes = 0

    def add_file(self, name: str, path: Path) -> None:
        """Copy a file with its present length, which may grow meanwhile. Raises OSError."""
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            self._add(name, stream, facts.st_size, facts.st_mtime)

    def add_text(self, name: str, text: str, modified_s: float) -> None:
        """Write a text."""
        content = text.encode()
        self._add(name, BytesIO(content), len(content), modified_s)

    def _add(self, name: str, stream: BinaryIO, size: int, modified_s: float) -> None:
        self._container.write(name, stream, size, modified_s)
        self.files += 1
        self.size_bytes += size


@contextlib.contextmanager
def new_backup(target: Path) -> Iterator[BackupWriter]:
    """A new backup: a tar file if the name ends with .tar, else a folder. It gets its name at the end of the block.

    Raises JobConflict if there is one; OSError.
    """
    if target.exists():
        raise JobConflict(f"{target.name} exists; expected the name of a new backup.", hint="Choose another name.")
    partial = target.with_name(f".{target.name}.part")
    _remove(partial)
    try:
        with contextlib.ExitStack() as opened:
            if target.suffix == TAR:
                container: Container = _Tar(opened.enter_context(tarfile.open(partial, "w")))
            else:
                container = _Folder(partial)
            yield BackupWriter(container)
        partial.rename(target)
    finally:
        _remove(partial)


def unpack(backup: Path, target: Path) -> tuple[int, int]:
    """Copy all files of a backup into a new folder. Returns (number of files, bytes). Raises BackupInvalid, OSError."""
    if not backup.exists():
        raise BackupInvalid(f"{backup.name} does not exist; expected a folder or a .tar file.")
    target.mkdir()
    files = size_bytes = 0
    try:
        for name, stream, size, modified_s in _entries(backup):
            path = target / _checked(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, stream, size, modified_s)
            files += 1
            size_bytes += size
    except (tarfile.TarError, EOFError) as error:
        raise BackupInvalid(f"{backup.name} is no complete tar file ({error}); expected a backup.") from error
    return files, size_bytes


def _entries(backup: Path) -> Iterator[tuple[str, BinaryIO, int, float]]:
    if backup.is_dir():
        for path in sorted(path for path in backup.rglob("*") if path.is_file()):
            facts = path.stat()
            with path.open("rb") as stream:
                yield path.relative_to(backup).as_posix(), stream, facts.st_size, facts.st_mtime
        return
    with tarfile.open(backup) as file:
        for member in file:
            content = file.extractfile(member) if member.isfile() else None
            if content is not None:
                with content as stream:
                    yield member.name, stream, member.size, member.mtime  # type: ignore[misc]  # it can be read


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise BackupInvalid(f"The backup contains the file name {name[:100]!r}; expected names inside the backup.")
    return path


def _write(path: Path, stream: BinaryIO, size: int, modified_s: float) -> None:
    left = size
    with path.open("wb") as target:
        while left > 0:
            block = stream.read(min(BLOCK_BYTES, left))
            if not block:
                raise OSError(f"{path.name} became shorter while it was read")
            left -= target.write(block)
    os.utime(path, (modified_s, modified_s))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""Reception of an upload: streamed once to disk under a generated name, and rejected as early as possible.

It is received in DATA_DIR/incoming/<id>/, locked by the receiving process, and renamed to DATA_DIR/jobs/<id>/, or to
DATA_DIR/scans/<id>/ if it awaits confirmation, so that folders there are complete. An unlocked folder in incoming/
belonged to a process that has ended; `remove_abandoned` deletes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from jobs.errors import InvalidUpload, StorageFull, UploadTooLarge
from jobs.intake.parts import FilePart
from jobs.state.model import JobRecord, clean_filename
from jobs.state.storage import RESERVE_BYTES, SCAN_FILE, Storage
from pipeline.file_kinds import COMPACT_EXTENSIONS, EXTENSIONS, IMAGES, FileKind, extension_of, may_be_unnamed
from pipeline.workspace import Workspace, write_json

MEGABYTE: Final = 1024 * 1024
FORM_OVERHEAD: Final = 256 * 1024
"""Maximum size of a form without its file."""

CHECK_ROOM_EVERY_BYTES: Final = 64 * MEGABYTE
"""Interval in bytes between checks of free disk space during an upload."""

WRITE_BACK_BYTES: Final = 16 * MEGABYTE
"""Writing to disk is triggered after every piece of this size, so that the final fsync is short."""

ABANDONED_AFTER_S: Final = 60.0
"""A younger folder may not have been locked yet by its process."""


class Upload:
    """The files of one upload, being written one after the other to DATA_DIR/incoming/<new id>/input/.

    `discard` removes every trace. size: of all files
    """

    def __init__(self, storage: Storage, limit_bytes: int) -> None:
        self.job_id = str(uuid.uuid4())
        self.names: dict[FilePart, str] = {}
        self.size = 0
        self._size_before = 0
        self._storage = storage
        self._limit = limit_bytes
        self._workspace = Workspace(_incoming(storage) / self.job_id)
        self._file: int | None = None
        self._lock: int | None = None

    @property
    def filename(self) -> str:
        """The user's name of the scan; of the label map where there is no scan; empty before a file has begun."""
        return self.names.get(FilePart.SCAN) or self.names.get(FilePart.LABELS, "")

    def path(self, part: FilePart) -> Path | None:
        """The current path of a file; None if it was not sent."""
        return part.path(self._workspace, self.names[part]) if part in self.names else None

    def check_announced(self, size: int | None) -> None:
        """Check the declared length before anything is read. Raises UploadTooLarge, StorageFull."""
        if size is not None:
            self.check_total(size)
        self._check_room(size or 0)

    def check_total(self, size: int) -> None:
        """Raise UploadTooLarge if a body of this size cannot contain a file within the limit."""
        if size > self._limit + FORM_OVERHEAD:
            raise self._too_large()

    def open(self, part: FilePart, filename: str) -> None:
        """Begin a file. Raises InvalidUpload for an extension that is not accepted or a second file, StorageFull."""
        if part in self.names:
            raise InvalidUpload(
                f"The form contains more than one file '{part}'; expected one.",
                hint=f"Pack several files as one {FileKind.ZIP}.",
            )
        name = clean_filename(filename)
        extension = extension_of(name)
        if extension not in EXTENSIONS and not may_be_unnamed(name):
            raise InvalidUpload(
                f"Invalid file type '{extension}'; accepted: {', '.join(sorted(EXTENSIONS))}.",
                hint=f"Upload {', '.join(IMAGES)}, or a {FileKind.ZIP} of a {FileKind.DICOM} folder.",
            )
        self.names[part] = name
        self._size_before = self.size
        self._check_present()
        with _disk_errors():
            if self._lock is None:
                self._workspace.input_dir.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(self._workspace.root, os.O_RDONLY)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            path = part.path(self._workspace, name)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes. Raises UploadTooLarge as soon as they exceed the limit, StorageFull if the disk is full."""
        if self._file is None:
            raise InvalidUpload("Data before the file has begun.")
        before = self.size
        self.size += len(data)
        if self.size > self._limit:
            raise self._too_large()
        if self.size // CHECK_ROOM_EVERY_BYTES > before // CHECK_ROOM_EVERY_BYTES:
            self._check_room(0)
        rest = memoryview(data)
        with _disk_errors():
            while rest:
                rest = rest[os.write(self._file, rest) :]
        if self.size // WRITE_BACK_BYTES > before // WRITE_BACK_BYTES:
            self._start_write_back()

    def close(self) -> None:
        """Finish the file and sync it to disk. Raises InvalidUpload if it is empty, StorageFull."""
        if self._file is not None:
            with _disk_errors():
                os.fsync(self._file)
                file, self._file = self._file, None
                os.close(file)
        if self.size == self._size_before:
            raise InvalidUpload("The uploaded file is empty.", hint="Choose the image file itself.")

    def accept(self, record: JobRecord) -> None:
        """Turn the upload into the folder of a job atomically. Raises StorageFull."""
        target = self._storage.folder(self.job_id)
        with _disk_errors():
            self._storage.write_record(record, self._workspace.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._workspace.root.rename(target)
        self._unlock()

    def keep(self, document: Mapping[str, object]) -> None:
        """Turn the upload into a scan awaiting confirmation, atomically. Raises StorageFull."""
        target = self._storage.scan_folder(self.job_id)
        with _disk_errors():
            write_json(self._workspace.root / SCAN_FILE, document)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._workspace.root.rename(target)
        self._unlock()

    def discard(self) -> None:
        """Delete all written data; may be called at any time and repeatedly."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                os.close(file)
        shutil.rmtree(self._workspace.root, ignore_errors=True)
        self._storage.remove(self.job_id)
        self._unlock()

    def _start_write_back(self) -> None:
        """Start writing the dirty pages of the last piece to disk in the background; they stay in memory."""
        if self._file is not None and hasattr(os, "posix_fadvise"):  # not on macOS
            start = max(0, self.size - 2 * WRITE_BACK_BYTES)
            os.posix_fadvise(self._file, start, self.size - start, os.POSIX_FADV_DONTNEED)

    def _unlock(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.close(lock)

    def _check_present(self) -> None:
        if not self._storage.identity():
            raise StorageFull("The data directory of the server is missing.", hint="Try again later.")

    def _check_room(self, needed: int) -> None:
        self._check_present()
        with _disk_errors():
            free = self._storage.free_bytes()
        if free < needed + RESERVE_BYTES:
            raise StorageFull("The server has no space for another upload.", hint="Try again later.")

    def _too_large(self) -> UploadTooLarge:
        return UploadTooLarge(
            f"The file is larger than the limit of {self._limit // MEGABYTE} MB.",
            hint=f"Upload one series only, or compress it ({', '.join(COMPACT_EXTENSIONS)}).",
        )


def remove_abandoned(storage: Storage) -> list[str]:
    """Delete uploads of processes that have ended. Returns the names of the folders."""
    removed = []
    for folder in sorted(_incoming(storage).glob("*")):
        with contextlib.suppress(OSError):  # deleted or accepted concurrently
            if time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S and _unlocked(folder):
                shutil.rmtree(folder)
                removed.append(folder.name)
    return removed


def _incoming(storage: Storage) -> Path:
    return storage.root / "incoming"


def _unlocked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull("The server cannot store this upload.", hint="Try again later.") from error

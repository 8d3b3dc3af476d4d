"""The folder of one analysis, and how a file is written whole or not at all.

input/     what the user gave (deleted by the service when the job ends)
work/      products of the steps (products.py), their parts (kept_parts.py), and the ledger of what has been done
results/   files/ (the tree of the zip), view/ (what the pages' viewers read, gzip), results.zip, manifest.json (last:
           its presence means complete)
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANIFEST_NAME: Final = "manifest.json"
KEPT_FOLDER: Final = ".analysis"
"""Inside a folder of results that the command line wrote: the workspace, from which an interrupted run resumes; later
what a comparison needs.
"""


class Workspace:
    """Where the files of one analysis are."""

    def __init__(self, root: Path, input_dir: Path | None = None) -> None:
        """input_dir: the folder of the input, if it is not in `root`."""
        self.root = root
        self.input_dir = root / "input" if input_dir is None else input_dir
        self.work_dir = root / "work"
        self.scratch_dir = self.work_dir / "scratch"
        self.results_dir = root / "results"
        self.files_dir = self.results_dir / "files"
        self.view_dir = self.results_dir / "view"
        self.archive_path = self.results_dir / "results.zip"
        self.manifest_path = self.results_dir / MANIFEST_NAME
        self._array_files: dict[int, tuple[NDArray[np.generic], Path]] = {}

    def note_array(self, array: NDArray[np.generic], path: Path) -> None:
        """State that the .npy at this path has the array, which nothing changes later: a product links the file."""
        array.flags.writeable = False
        self._array_files[id(array)] = array, path

    def file_of(self, array: NDArray[np.generic]) -> Path | None:
        """The .npy that has this array, if one is known."""
        known = self._array_files.get(id(array))
        return None if known is None else known[1]

    def forget_arrays(self) -> None:
        """After the products of a step are complete."""
        self._array_files.clear()

    def create(self) -> None:
        """Make the folders; those that exist stay as they are."""
        for folder in (self.input_dir, self.work_dir, self.results_dir):
            folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content appears under `path` whole, or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path, *, durable: bool = False) -> None:
    """Link a file, which is replaced and never changed in place, under another name, whole or not at all.

    durable: it is on the disk before that. Raises OSError.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        try:
            partial.hardlink_to(source)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(source, partial)
        if durable:
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, data: object, *, default: Callable[[object], object] | None = None) -> None:
    """JSON, atomically; NaN is written as Python reads it back."""
    with atomic_file(path) as stream:
        stream.write(json.dumps(data, indent=1, ensure_ascii=False, default=default).encode())

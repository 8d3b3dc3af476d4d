"""The folder of one analysis, and how a file is written whole or not at all.

input/     what the user gave (deleted by the service when the job ends)
work/      products of the steps (products.py), and the ledger of what has been done
results/   files/ (the tree of the zip), view/ (what the pages' viewers read, gzip), results.zip, manifest.json (last:
           its presence means complete)
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

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


def write_json(path: Path, data: object, *, default: Callable[[object], object] | None = None) -> None:
    """JSON, atomically; NaN is written as Python reads it back."""
    with atomic_file(path) as stream:
        stream.write(json.dumps(data, indent=1, ensure_ascii=False, default=default).encode())

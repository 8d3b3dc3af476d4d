"""Reads the files of the next row into the memory of the system while a row is measured.

It matters where scans are on a file server: the next row then does not wait for them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from jobs.state.backend import Backend
from jobs.state.queue import queue_errors
from jobs.studies.entries import Kind, Part
from jobs.studies.parts import files_of_row
from pipeline.errors import KneeError

MOST_FILES: Final = 2_000
"""Of one row: a series of DICOM files has some hundreds."""


def read_ahead(backend: Backend) -> None:
    """Of the first row in the queue. Returns at once: the system reads in the background.

    Raises nothing for files, another study or a queue that is gone: a row must not fail because of the next one.
    """
    with contextlib.suppress(KneeError, ValueError, OSError), queue_errors():
        part = next((part for name in backend.studies.waiting() if (part := Part.of(name)).kind is Kind.ROW), None)
        if part is not None:
            into_memory(files_of_row(backend, part))


def into_memory(paths: Iterable[Path]) -> None:
    """Advise the system that these files, and the files in these folders, are read soon. Raises OSError."""
    if not hasattr(os, "posix_fadvise"):  # macOS
        return
    for path in islice(_files(paths), MOST_FILES):
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(opened)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (inner for inner in path.rglob("*") if inner.is_file())
        else:
            yield path

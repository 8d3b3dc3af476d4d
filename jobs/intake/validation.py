"""Checks, in a confined process and never in the web server, whether an uploaded file can be analysed."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.errors import StorageFull
from jobs.state.faults import FaultKind, fault_of
from pipeline.decoding.process import CHECK_LIMITS, CHECK_WALL_CLOCK_S, inspect_upload
from pipeline.errors import OutOfDisk, UnreadableImage
from pipeline.upload_facts import UploadFacts

WALL_CLOCK_S: Final = CHECK_WALL_CLOCK_S
LIMITS: Final = CHECK_LIMITS

MAX_CHECKS: Final = 2
"""Maximum number of simultaneous checks: each needs a process and up to 1 GB."""

_CHECKS: Final = threading.BoundedSemaphore(MAX_CHECKS)

log = logging.getLogger(__name__)


def check_upload(path: Path | None, series: str = "", *, labels: Path | None = None, sort: bool = False) -> UploadFacts:
    """Facts about an uploaded scan, or of one `series` of it, and about a label map.

    sort: a label map in `path` is recognised by its content; otherwise it is refused there

    Archives are unpacked to a temporary folder next to the file. Raises the InputError that reading would raise,
    UnreadableImage if the process fails, StorageFull if the disk is full.
    """
    given = path or labels
    assert given is not None  # noqa: S101 -- an upload has a file
    with confined(given.parent) as scratch:
        return inspect_upload(
            path,
            labels,
            series=series,
            sort=sort,
            scratch_dir=scratch,
            limits=LIMITS,
            wall_clock_s=WALL_CLOCK_S,
        )


@contextlib.contextmanager
def confined(folder: Path) -> Iterator[Path]:
    """Wait for a place for one check, and translate its errors; yields a new folder in `folder`, removed afterwards.

    Raises UnreadableImage where the process fails, StorageFull if the disk is full.
    """
    scratch = Path(tempfile.mkdtemp(prefix="check-", dir=folder))
    try:
        with _CHECKS:
            yield scratch
    except MemoryError as error:
        raise UnreadableImage("The image is too large to be read.") from error
    except OutOfDisk as error:
        raise StorageFull(error.message, hint=error.hint) from error
    except OSError as error:
        if fault_of(error) is FaultKind.DISK_FULL:
            raise StorageFull("The server has no disk space to check the file.", hint="Try again later.") from error
        log.warning("the check of an upload ended with an error of the system", exc_info=True)
        raise UnreadableImage("The file could not be read.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

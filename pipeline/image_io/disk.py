"""Translates a full disk into OutOfDisk, a server error instead of an error in the file."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import OutOfDisk

RESERVE_BYTES: Final = 200 << 20
"""Free space that unpacking must leave for results."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def require_room(folder: Path, size: int) -> None:
    """Raise OutOfDisk if `size` bytes plus the reserve do not fit."""
    if shutil.disk_usage(folder).free < size + RESERVE_BYTES:
        raise _full()


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Convert a full disk, quota or file size limit inside the block into OutOfDisk."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full() from error
        raise


def _full() -> OutOfDisk:
    return OutOfDisk("The server has no disk space to unpack the file.", hint="Try again later.")

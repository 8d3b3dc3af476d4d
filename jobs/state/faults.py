"""Faults of the machine are not faults of a job: it goes back to the queue, and its attempt does not count."""

from __future__ import annotations

import errno
from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """What the machine lacks."""

    DISK_FULL = "DISK_FULL"
    READ_ONLY = "READ_ONLY"
    DATA_MISSING = "DATA_MISSING"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    DEVICE_LOST = "DEVICE_LOST"

    @property
    def words(self) -> str:
        """For operators and users."""
        return _WORDS[self]


_WORDS: Final = {
    FaultKind.DISK_FULL: "the disk of the data directory has too little space",
    FaultKind.READ_ONLY: "the data directory is read-only",
    FaultKind.DATA_MISSING: "the data directory is missing or does not respond",
    FaultKind.OUT_OF_MEMORY: "the machine ran out of memory",
    FaultKind.DEVICE_LOST: "the GPU cannot be used",
}

_BY_ERRNO: Final = {
    errno.ENOSPC: FaultKind.DISK_FULL,
    errno.EDQUOT: FaultKind.DISK_FULL,
    errno.EROFS: FaultKind.READ_ONLY,
    errno.ENOMEM: FaultKind.OUT_OF_MEMORY,
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT),
        FaultKind.DATA_MISSING,
    ),
}


def fault_of(error: OSError) -> FaultKind | None:
    """The fault that an error of the operating system shows; None: it may be the job's."""
    return None if error.errno is None else _BY_ERRNO.get(error.errno)

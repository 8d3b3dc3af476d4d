"""Whether a work-horse may take further parts of studies: memory that the worker shares with it, as for machine faults.

A worker that is asked to stop, or that the operator pauses, waits for its work-horse.
"""

from __future__ import annotations

import mmap
from typing import Final


class MoreWork:
    """The worker imports this module before it forks."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def allow(self, allowed: bool) -> None:
        """Called by the worker."""
        self._shared[:1] = b"\1" if allowed else b"\0"

    @property
    def allowed(self) -> bool:
        """Asked by the work-horse after each part."""
        return self._shared[:1] == b"\1"


MORE_WORK: Final = MoreWork()

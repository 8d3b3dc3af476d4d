"""Tests whether file locks are shared between the machines of the workers; on some network file systems they are not.

Each worker keeps a file in DATA_DIR/locks locked. A file that belongs to a live worker of another machine and can be
locked here proves that locks are local.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jobs.state.work_lock import boot_id
from jobs.state.workers import WorkerState

LOCAL: Final = "file locks are not shared between the machines of the workers"
_FORGOTTEN_S: Final = 86_400.0


class SharedLocks:
    """The lock of one worker. problem: empty, or LOCAL."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._path = folder / f"{name}.lock"
        self._descriptor: int | None = None
        self.problem = ""

    def check(self, workers: Iterable[WorkerState]) -> None:
        """Lock the own file, and test those of the other machines' workers. Does not raise."""
        with contextlib.suppress(OSError):
            self._hold()
            others = [worker for worker in workers if worker.machine != boot_id()]
            self.problem = LOCAL if any(self._lockable(f"{worker.name}.lock") for worker in others) else ""
            self._remove_forgotten()

    def _hold(self) -> None:
        if self._descriptor is not None and self._path.exists():
            return
        self.close()
        self._folder.mkdir(exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _lockable(self, name: str) -> bool:
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not visible here yet
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _remove_forgotten(self) -> None:
        """Remove files of workers that ended long ago."""
        for path in self._folder.glob("*.lock"):
            if time.time() - path.stat().st_mtime > _FORGOTTEN_S and path != self._path and self._lockable(path.name):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the lock up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

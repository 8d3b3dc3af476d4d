"""The work lock of a job folder: a file that the work-horse keeps locked while it runs.

The kernel releases the lock however the process ends, so a free lock on this machine proves that the work has ended. On
another machine, or after a reboot, the heartbeat decides instead (queue.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

WAIT_S: Final = 3.0
"""Waiting time of a new attempt for the end of a killed work-horse."""

_PAUSE_S: Final = 0.05


class Work(Enum):
    """State of a work lock."""

    ALIVE = "alive"
    OVER = "over"
    UNKNOWN = "unknown"
    """The lock is free here, but was last held by another machine or never."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Content of the file: the last holder of the lock. attempt: its attempt number; 0 before it has one."""

    attempt: int
    machine: str
    processes: str
    pid: int


class WorkLock:
    """The lock file of one job."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: Holder | None = None

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the lock during a block; yields False if another process holds it or the folder is missing.

        Forked processes hold it too: the lock is free when the last of them has ended.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield False
            return
        try:
            held = _lock(descriptor, fcntl.LOCK_EX, WAIT_S)
            if held:
                self._before = self._holder()
                self._note(self.last_attempt)
            yield held
        finally:
            os.close(descriptor)

    def note_attempt(self, attempt: int) -> None:
        """Record the attempt number of the holder. It survives a queue that lost its last second."""
        self._note(attempt)

    def _note(self, attempt: int) -> None:
        holder = Holder(attempt=attempt, machine=boot_id(), processes=_processes(), pid=os.getpid())
        descriptor = os.open(self._path, os.O_WRONLY)  # written in place, because a new file would have a new lock
        try:
            os.pwrite(descriptor, json.dumps(asdict(holder)).encode().ljust(400), 0)
        finally:
            os.close(descriptor)

    @property
    def last_attempt(self) -> int:
        """The highest attempt number started here; 0 if there is none."""
        holder = self._holder()
        return 0 if holder is None else holder.attempt

    @property
    def last_held_elsewhere(self) -> bool:
        """Whether the holder before this one was another machine."""
        return self._before is not None and self._before.machine != boot_id()

    def state(self) -> Work:
        """The current state of the lock."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return Work.UNKNOWN
        try:
            free = _lock(descriptor, fcntl.LOCK_SH, 0.0)
        except OSError:  # a file system without locks
            return Work.UNKNOWN
        finally:
            os.close(descriptor)
        if not free:
            return Work.ALIVE
        holder = self._holder()
        return Work.OVER if holder is not None and holder.machine == boot_id() else Work.UNKNOWN

    def kill_holder(self) -> None:
        """Kill the process group that holds the lock, if it is on this machine and may be killed."""
        holder = self._holder()
        if holder is None or holder.pid == os.getpid() or holder.processes != _processes():
            return
        if self.state() is Work.ALIVE:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(holder.pid) == holder.pid:
                    os.killpg(holder.pid, signal.SIGKILL)

    def _holder(self) -> Holder | None:
        try:
            return Holder(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def _lock(descriptor: int, kind: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


@cache
def boot_id() -> str:
    """Boot ID of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()


def _processes() -> str:
    """Scope of process IDs: the machine and, on Linux, the container."""
    try:
        return f"{boot_id()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return boot_id()

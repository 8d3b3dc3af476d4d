"""Who works in the folder of a job: a file that the work-horse keeps locked for as long as it lives.

The kernel gives the lock back however the process ends, so a free lock on this machine proves at once that the work is
over. On another machine, or after a restart of this one, it proves nothing: there the heartbeat decides (queue.py).
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
"""How long a new attempt waits: a work-horse that was just killed needs a moment to go."""

_PAUSE_S: Final = 0.05


class Work(Enum):
    """What the lock of a job says."""

    ALIVE = "alive"
    OVER = "over"
    UNKNOWN = "unknown"
    """Nobody holds the lock here, but the last one to hold it was another machine, or nobody ever did."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Content of the file: the last one to hold the lock. attempt: the number of its attempt; 0 before it has one."""

    attempt: int
    machine: str
    processes: str
    pid: int


class WorkLock:
    """The lock file of one job."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the lock for the length of a block; -> False where somebody else works there, or the folder is gone.

        A process forked from this one holds it too: the lock is free when the last of them has ended.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield False
            return
        try:
            held = _lock(descriptor, fcntl.LOCK_EX, WAIT_S)
            if held:
                self._note(self.last_attempt)
            yield held
        finally:
            os.close(descriptor)

    def note_attempt(self, attempt: int) -> None:
        """By the holder: the number of its attempt. It outlives a queue that forgot its last second."""
        self._note(attempt)

    def _note(self, attempt: int) -> None:
        holder = Holder(attempt=attempt, machine=boot_id(), processes=_processes(), pid=os.getpid())
        descriptor = os.open(self._path, os.O_WRONLY)  # in place: another file would be another lock
        try:
            os.pwrite(descriptor, json.dumps(asdict(holder)).encode().ljust(400), 0)
        finally:
            os.close(descriptor)

    @property
    def last_attempt(self) -> int:
        """The highest attempt that has begun here; 0 where none has."""
        holder = self._holder()
        return 0 if holder is None else holder.attempt

    @property
    def elsewhere(self) -> bool:
        """Whether another machine was the last to work here."""
        holder = self._holder()
        return holder is not None and holder.machine != boot_id()

    def look(self) -> Work:
        """Whether somebody works on the job."""
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

    def kill(self) -> None:
        """Kill the process group that holds the lock, where it is one of this machine that may be killed from here."""
        holder = self._holder()
        if holder is None or holder.pid == os.getpid() or holder.processes != _processes():
            return
        if self.look() is Work.ALIVE:
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
    """Where a process number means the same process: the machine and, on Linux, the container."""
    try:
        return f"{boot_id()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return boot_id()

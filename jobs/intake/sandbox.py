"""What a process that decodes a stranger's file may do, set by itself before it looks at the file.

It may read, and write inside one folder. It may not use the network, start another process, or grow.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGABYTE: Final = 1024 * 1024
_LINUX: Final = sys.platform.startswith("linux")

_CLONE_NEWUSER: Final = 0x10000000  # linux/sched.h
_CLONE_NEWNET: Final = 0x40000000

_FORBIDDEN: Final = (
    "socket.",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "os.link",
    "os.symlink",
    "os.chown",
    "os.chmod",
    "os.rename",
    "os.truncate",
    "os.utime",
    "os.kill",
    "pty.spawn",
    "subprocess.Popen",
    "signal.pthread_kill",
)
"""Audit events (docs.python.org/3/library/audit_events.html), or the beginning of their names."""

_CHANGING: Final = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1}
"""Events of changes to folders, with the place of the folder's descriptor among their arguments (-1: none)."""

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


@dataclass(frozen=True, kw_only=True)
class Limits:
    """memory_mb: memory of its own (data, heap, anonymous maps); the rest as its name says."""

    memory_mb: int
    cpu_s: int
    file_mb: int
    open_files: int = 64


def confine(limits: Limits, scratch_dir: Path) -> None:
    """Give up, for good, what decoding does not need. Files may be written in `scratch_dir` alone.

    The network is cut off by the kernel where that is permitted, and everywhere by Python's own audit events; processes
    are refused by these events, and by the kernel unless the user is root.
    """
    sizes = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_mb * MEGABYTE),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_DATA, limits.memory_mb * MEGABYTE),
        (resource.RLIMIT_AS, 3 * limits.memory_mb * MEGABYTE),  # libraries and maps of files beside it
        (resource.RLIMIT_NPROC, 0),
    )
    for kind, most in sizes:
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
    _leave_network()
    tempfile.tempdir = str(scratch_dir)
    _watch(os.path.realpath(scratch_dir))


def _leave_network() -> None:
    """Into a network of its own, without any interface; nothing happens where that is not permitted."""
    if not _LINUX:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _watch(scratch: str) -> None:
    inside = scratch + os.sep

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_FORBIDDEN):
            raise PermissionError(f"{event} is not permitted here")
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and not _lies_in(path, inside):
                raise PermissionError("files are written in the scratch folder alone")
        elif event in _CHANGING:
            folder = arguments[_CHANGING[event]]
            # a name relative to an open folder (as shutil.rmtree gives it) lies where that folder lies
            place = arguments[0] if folder == -1 else f"/proc/self/fd/{folder}" if _LINUX else inside
            if not _lies_in(place, inside):
                raise PermissionError("folders are changed in the scratch folder alone")

    sys.addaudithook(refuse)


def _lies_in(path: object, folder: str) -> bool:
    """Whether a path, links followed, lies in a folder; a file descriptor does: it was checked when it was opened."""
    if isinstance(path, int):
        return True
    return isinstance(path, (str, bytes, os.PathLike)) and f"{os.path.realpath(os.fsdecode(path))}/".startswith(folder)

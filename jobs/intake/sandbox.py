"""Sandbox of a process that decodes an untrusted file. The process enters it before it opens the file.

It can read files, and write in one folder. It cannot use the network, start processes, or exceed its limits.
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
"""Audit events (docs.python.org/3/library/audit_events.html), or prefixes of their names."""

_CHANGING: Final = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1}
"""Events of changes to folders, with the index of the folder's descriptor in their arguments (-1: none)."""

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


@dataclass(frozen=True, kw_only=True)
class Limits:
    """memory_mb: private memory (data, heap, anonymous maps)."""

    memory_mb: int
    cpu_s: int
    file_mb: int
    open_files: int = 64


def confine(limits: Limits, scratch_dir: Path) -> None:
    """Permanently drop the permissions that decoding does not need. Files can be written only in `scratch_dir`.

    The network is blocked by Python's audit events and, if permitted, by the kernel. New processes are blocked by audit
    events and, unless the user is root, by the kernel.
    """
    sizes = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_mb * MEGABYTE),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_DATA, limits.memory_mb * MEGABYTE),
        (resource.RLIMIT_AS, 3 * limits.memory_mb * MEGABYTE),  # in addition: libraries and mapped files
        (resource.RLIMIT_NPROC, 0),
    )
    for kind, most in sizes:
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
    _isolate_network()
    tempfile.tempdir = str(scratch_dir)
    _add_audit_hook(os.path.realpath(scratch_dir))


def _isolate_network() -> None:
    """Enter a separate network namespace without interfaces; no effect without permission."""
    if not _LINUX:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _add_audit_hook(scratch: str) -> None:
    inside = scratch + os.sep

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_FORBIDDEN):
            raise PermissionError(f"{event} is not permitted here")
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and not _is_inside(path, inside):
                raise PermissionError("files can be written only in the scratch folder")
        elif event in _CHANGING:
            folder = arguments[_CHANGING[event]]
            # a name relative to an open folder (as used by shutil.rmtree) is in that folder
            place = arguments[0] if folder == -1 else f"/proc/self/fd/{folder}" if _LINUX else inside
            if not _is_inside(place, inside):
                raise PermissionError("folders can be changed only in the scratch folder")

    sys.addaudithook(refuse)


def _is_inside(path: object, folder: str) -> bool:
    """Whether a path, after resolving links, is in a folder; true for a descriptor, which was checked on opening."""
    if isinstance(path, int):
        return True
    return isinstance(path, (str, bytes, os.PathLike)) and f"{os.path.realpath(os.fsdecode(path))}/".startswith(folder)

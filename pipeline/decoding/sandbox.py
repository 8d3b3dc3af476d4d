"""Sandbox of a process that decodes an untrusted file. The process enters it before it opens the file.

The process can read its input and the program, and write in one folder. It cannot use the network, start processes,
reach other processes, or exceed its limits. The kernel enforces this, also for native code (Landlock, seccomp).
Python's audit events refuse most of it first, with clearer messages; where the kernel offers neither, only they do.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.decoding import landlock, seccomp
from pipeline.decoding.protection import protection
from pipeline.linux import ON_LINUX, forbid_new_privileges, leave_network

MEGABYTE: Final = 1024 * 1024

PACKAGE: Final = Path(__file__).resolve().parents[1]
"""The only part of the program that is read in the sandbox."""

_GRACE_S: Final = 2
"""A process that ignores the signal for its processor time is killed after this."""

_SYSTEM: Final = ("/usr", "/usr/local", "/")
_STORES: Final = ("/nix/store", "/gnu/store")
_FILES: Final = ("/etc/ld.so.cache", "/dev/urandom", "/dev/zero", "/sys/devices/system/cpu")
_OF_KERNEL: Final = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo")

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


def confine(limits: Limits, scratch_dir: Path, readable: Iterable[Path] = ()) -> None:
    """Permanently drop the permissions that decoding does not need. Files can be written only in `scratch_dir`.

    readable: files and folders that may be read, besides the libraries of the program

    What the kernel does not offer is left out (see protection.py). Raises OSError if the kernel refuses what it offers,
    RuntimeError if the process has several threads.
    """
    sizes = (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + _GRACE_S),
        (resource.RLIMIT_FSIZE, limits.file_mb * MEGABYTE, limits.file_mb * MEGABYTE),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_DATA, limits.memory_mb * MEGABYTE, limits.memory_mb * MEGABYTE),
        # in addition: libraries and mapped files
        (resource.RLIMIT_AS, 3 * limits.memory_mb * MEGABYTE, 3 * limits.memory_mb * MEGABYTE),
        (resource.RLIMIT_NPROC, 0, 0),
    )
    for kind, soft, most in sizes:
        _, hard = resource.getrlimit(kind)
        top = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (min(soft, top), top))
    if ON_LINUX:
        _confine_native_code(scratch_dir, readable)
    tempfile.tempdir = str(scratch_dir)
    _add_audit_hook(os.path.realpath(scratch_dir))


def _confine_native_code(scratch_dir: Path, readable: Iterable[Path]) -> None:
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError("the sandbox is entered by a process with one thread: Landlock holds for the calling thread")
    offered = protection()
    leave_network()
    forbid_new_privileges()
    if offered.landlock:
        landlock.restrict_files((*_program(), *readable), (scratch_dir, Path(os.devnull)))
    if offered.seccomp:
        seccomp.refuse_calls()


def _program() -> list[Path]:
    """Interpreter, packages and libraries; of the program's own folder, which may hold data, only PACKAGE."""
    roots = dict.fromkeys((sys.prefix, sys.base_prefix, *_SYSTEM))
    libraries = [Path(root, name) for root in roots for name in ("lib", "lib64", "lib32")]
    packages = [path for entry in sys.path if entry and (path := Path(entry).resolve()) not in PACKAGE.parents]
    return [PACKAGE, *libraries, *packages, *map(Path, (*_STORES, *_FILES, *_OF_KERNEL))]


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
            place = arguments[0] if folder == -1 else f"/proc/self/fd/{folder}" if ON_LINUX else inside
            if not _is_inside(place, inside):
                raise PermissionError("folders can be changed only in the scratch folder")

    sys.addaudithook(refuse)


def _is_inside(path: object, folder: str) -> bool:
    """Whether a path, after resolving links, is in a folder; true for a descriptor, which was checked on opening."""
    if isinstance(path, int):
        return True
    return isinstance(path, (str, bytes, os.PathLike)) and f"{os.path.realpath(os.fsdecode(path))}/".startswith(folder)

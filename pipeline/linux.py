"""Calls to the Linux kernel for which Python has no function."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

ON_LINUX: Final = sys.platform.startswith("linux")

_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_SET_NO_NEW_PRIVS: Final = 38

_CLONE_NEWUSER: Final = 0x10000000  # linux/sched.h
_CLONE_NEWNET: Final = 0x40000000


def libc() -> ctypes.CDLL:
    """The C library of this process; errors are in ctypes.get_errno()."""
    return ctypes.CDLL(None, use_errno=True)


def system_call(number: int, *arguments: object) -> int:
    """A system call by its number. Raises OSError."""
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    function = libc().syscall
    function.restype = ctypes.c_long
    result = int(function(ctypes.c_long(number), *plain))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def die_with_parent(parent_pid: int | None = None) -> None:
    """Ask the kernel to kill this process when the one that started it dies (Linux only).

    parent_pid: the expected parent, if known, to detect a parent that ended before the request.
    """
    if not ON_LINUX:
        return
    libc().prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if parent_pid is not None and os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def forbid_new_privileges() -> None:
    """Permanently, for this process and those that it starts. Raises OSError."""
    if libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def leave_network() -> None:
    """Enter a separate network namespace without interfaces; no effect without permission."""
    if libc().unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
        libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNET)

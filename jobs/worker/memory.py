"""Whether a process ended because the machine had no memory left."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path
from typing import Final

_USED_UP: Final = 0.9
"""Share of the address space from which a failure is put down to its limit."""


def oom_kills() -> int:
    """Number of processes that the kernel has killed for memory since its start, in any control group."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


def killed_for_memory(wait_status: int | None, kills_before: int) -> bool:
    """Whether the end of a process, as os.wait4 gives it, was such a kill."""
    if wait_status is None or not os.WIFSIGNALED(wait_status):
        return False
    return os.WTERMSIG(wait_status) == signal.SIGKILL and oom_kills() > kills_before


def be_killed_first() -> None:
    """Ask the kernel to prefer this process when memory runs out: its worker and the queue must continue."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")


def address_space_used_up() -> bool:
    """Whether this process has come close to the limit of its address space (ulimit -v): many libraries report a
    failed allocation as another error.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return False
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmPeak:"):
                return int(line.split()[1]) * 1024 > _USED_UP * limit
    return False

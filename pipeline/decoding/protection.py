"""What this machine offers to confine native code that decodes an untrusted file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.decoding import landlock, seccomp

_NO_LANDLOCK: Final = (
    "Landlock is missing, so native code could read and write files of the service: it needs Linux 5.13 or later with "
    "`landlock` in the kernel's list `lsm=`, and a container or service manager that permits landlock_create_ruleset"
)
_NO_SECCOMP: Final = (
    "seccomp is missing, so native code could start processes and open sockets: it needs Linux on x86_64 or aarch64, "
    "and a container or service manager that permits seccomp"
)


@dataclass(frozen=True, kw_only=True)
class Protection:
    """state: full (Landlock and seccomp), partial (one of them), none.

    landlock  version of its interface; 0 where it is missing
    missing   what the kernel does not enforce for native code, and what it would need
    """

    state: Literal["full", "partial", "none"]
    landlock: int
    seccomp: bool
    missing: tuple[str, ...]

    @classmethod
    def of(cls, *, landlock: int, seccomp: bool) -> Protection:
        """From what the kernel offers."""
        absent = ((_NO_LANDLOCK, not landlock), (_NO_SECCOMP, not seccomp))
        missing = tuple(words for words, is_missing in absent if is_missing)
        states: tuple[Literal["full", "partial", "none"], ...] = ("full", "partial", "none")
        return cls(state=states[len(missing)], landlock=landlock, seccomp=seccomp, missing=missing)


@functools.cache
def protection() -> Protection:
    """Asks the kernel. A filter of the service manager that forbids the calls counts as missing."""
    return Protection.of(landlock=landlock.version(), seccomp=seccomp.available())

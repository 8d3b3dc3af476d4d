"""What this machine offers to confine native code that decodes an untrusted file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from pipeline.decoding import landlock, seccomp


@dataclass(frozen=True, kw_only=True)
class Protection:
    """landlock: version of its interface, 0 where it is missing; seccomp: whether it can be used."""

    landlock: int
    seccomp: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not enforced for native code, one sentence part each."""
        found = []
        if not self.landlock:
            found.append(
                "Landlock (Linux 5.13 or later, with `landlock` in the kernel's list lsm=), so it can read files"
            )
        if not self.seccomp:
            found.append("seccomp (Linux on x86_64 or aarch64), so it can start processes and open sockets")
        return tuple(found)

    @property
    def state(self) -> Literal["full", "partial", "none"]:
        """Landlock and seccomp; one of them; neither."""
        return ("full", "partial", "none")[len(self.missing)]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"state": self.state, "landlock": self.landlock, "seccomp": self.seccomp, "missing": list(self.missing)}


@functools.cache
def protection() -> Protection:
    """Asks the kernel. A filter of the service manager that forbids the calls counts as missing."""
    return Protection(landlock=landlock.version(), seccomp=seccomp.available())

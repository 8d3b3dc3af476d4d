"""DATA_DIR/audit/audit.jsonl: who saw, changed, exported, deleted and shared what, with ids alone.

Lines are only added. Each holds the digest of the one before, so a line that was changed, removed or inserted later
breaks the chain where that was done. Lines cut off at the end leave the chain whole: keep the digest that
`audit verify` prints in another place, and give it to a later `audit verify --expect`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from jobs.access.viewer import SERVER, Viewer
from jobs.errors import StorageFull
from jobs.settings import load_settings
from jobs.state.clock import now

AUDIT: Final = "audit/audit.jsonl"
"""In the data directory."""

FIRST: Final = "0" * 64
"""Instead of a digest, in the first line."""

REPEATED_S: Final = 600.0
"""Pages ask for a state every second: that the same viewer sees or exports the same thing again within this time is not
noted again by the same process.
"""

log = logging.getLogger(__name__)

_MOST_REMEMBERED: Final = 20_000
_TAIL_BYTES: Final = 65_536


Json = dict[str, Any]  # Any: what JSON holds


class Act(StrEnum):
    """What was done."""

    SAW = "saw"
    EXPORTED = "exported"
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    SHARED = "shared"
    REFUSED = "refused"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"


OFTEN: Final = (Act.SAW, Act.EXPORTED, Act.REFUSED)
"""Noted once within REPEATED_S."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """lines: their number; digest: of the last one; breaks: number of each line that does not follow the one before

    expected_found: whether the line with the expected digest is there
    """

    lines: int
    digest: str
    breaks: tuple[int, ...]
    expected_found: bool = True

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, as far as the chain shows."""
        return not self.breaks and self.expected_found


_seen: dict[tuple[str, Act, str], float] = {}
_seen_lock: Final = threading.Lock()


def note(who: Viewer, act: Act, what: str, how: str = "") -> None:
    """Add a line. Nothing is noted without sign-in. Raises StorageFull: what cannot be noted must not be done.

    what  `job:ID`, `study:ID`, ...; how: the name of the operation
    """
    if not load_settings().sign_in or (act in OFTEN and _repeated(who.name, act, what)):
        return
    entry = {
        "at": now().isoformat(timespec="milliseconds"),
        "who": who.name,
        "act": act.value,
        "what": what,
        "how": how,
    }
    try:
        _append(audit_path(), entry)
    except OSError as error:
        raise StorageFull("The audit log cannot be written.", hint="Try again later.") from error


def note_of_server(act: Act, what: str, how: str) -> None:
    """Add a line about what the server does by itself, such as an expiry: that is done even if it cannot be noted."""
    try:
        note(SERVER, act, what, how)
    except StorageFull as error:
        log.warning("%s %s: not noted in the audit log: %s", what, act, error.message)


def audit_path() -> Path:
    """The log of this data directory."""
    return load_settings().data_dir / AUDIT


def copy_of_log(path: Path) -> str:
    """All lines so far; empty if there are none. Raises OSError."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def entries(path: Path) -> Iterator[Json]:
    """The lines that can be read, oldest first."""
    for line in _lines(path):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def verify(path: Path, expect: str = "") -> Verdict:
    """Check the whole chain. expect: digest of a line that was the last one earlier, and must still be there"""
    before, number, breaks, found = FIRST, 0, [], not expect or expect == FIRST
    for number, line in enumerate(_lines(path), 1):
        try:
            whole = line.endswith(b"\n") and json.loads(line)["before"] == before
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            breaks.append(number)
        before = _digest(line)
        found = found or before == expect
    return Verdict(lines=number, digest=before, breaks=tuple(breaks), expected_found=found)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            yield from stream
    except FileNotFoundError:
        return


def _append(path: Path, entry: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        last, torn = _last_line(descriptor)
        if torn:  # the machine stopped while it was written: `verify` names it
            os.write(descriptor, b"\n")
            last += b"\n"
        line = json.dumps(entry | {"before": _digest(last) if last else FIRST}, ensure_ascii=False).encode() + b"\n"
        if os.write(descriptor, line) != len(line):
            raise OSError("the line was not written whole")
    finally:
        os.close(descriptor)


def _last_line(descriptor: int) -> tuple[bytes, bool]:
    """The last line, and whether its end is missing."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    torn = bool(tail) and not tail.endswith(b"\n")
    return tail[tail.rfind(b"\n", 0, len(tail) - (0 if torn else 1)) + 1 :], torn


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _repeated(who: str, act: Act, what: str) -> bool:
    moment = time.monotonic()
    with _seen_lock:
        if moment - _seen.get((who, act, what), -REPEATED_S) < REPEATED_S:
            return True
        if len(_seen) >= _MOST_REMEMBERED:
            _seen.clear()
        _seen[who, act, what] = moment
    return False

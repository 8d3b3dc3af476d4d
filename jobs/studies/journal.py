"""What became of the rows of a study: one line of JSON for each event, in a file that only grows.

A line is appended under a lock and synchronised with the disk before the row counts as ended. Readers continue where
they stopped. A line that was cut by a kill or a full disk is ignored; its row is analysed again, which finds the
analysis in the store.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from jobs.state.clock import now
from jobs.state.model import Status, read_time
from pipeline.progress import StepState
from studies.store import FailureRecord


class End(StrEnum):
    """How a row has ended. CLEARED: its end no longer counts, because it is to be analysed again."""

    COMPLETE = Status.COMPLETE.value
    FAILED = StepState.FAILED.value
    CLEARED = "cleared"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one row.

    task      fingerprint of what was asked (Plan.rows): an end of another task does not count
    computed  whether it was computed for this row; otherwise the store had it
    version   of the outlines; job: id of the first version of the single job in which a reader corrected them
    """

    row: int
    task: str
    end: End
    address: str = ""
    failure: FailureRecord | None = None
    seconds: float = 0.0
    computed: bool = False
    version: int = 1
    job: str = ""
    at: datetime = field(default_factory=now)


@dataclass(kw_only=True)
class Entries:
    """What the journal says. size: bytes that were read; compared: first row of a subject -> what was compared;
    addresses: of all analyses that a row ever had.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    compared: dict[int, str] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    size: int = 0


class Journal:
    """The journal of one study. `read` is cheap when nothing was added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = Entries()
        self._file = 0
        self._lock = threading.Lock()

    def read(self) -> Entries:
        """All entries; the newest of a row counts. Raises OSError."""
        with self._lock:
            try:
                stream = self._path.open("rb")
            except FileNotFoundError:
                self._entries = Entries()
                return self._entries
            with stream:
                facts = os.fstat(stream.fileno())
                size = facts.st_size
                if facts.st_ino != self._file or size < self._entries.size:  # rewritten
                    self._entries, self._file = Entries(), facts.st_ino
                known = self._entries
                if size > known.size:
                    stream.seek(known.size)
                    text = stream.read()
                    whole = text[: text.rfind(b"\n") + 1]
                    entries = Entries(
                        outcomes=dict(known.outcomes),
                        compared=dict(known.compared),
                        addresses=set(known.addresses),
                        size=known.size + len(whole),
                    )
                    for line in whole.splitlines():
                        _take(line, entries)
                    self._entries = entries  # replaced, never changed: readers keep what they have
            return self._entries

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Add the ends of rows. Raises OSError."""
        self._append([_line(outcome) for outcome in outcomes])

    def write_compared(self, row: int, what: str) -> None:
        """Note that the visits of the subject that begins with this row were compared. Raises OSError."""
        self._append([{"subject": row, "compared": what}])

    def _append(self, items: list[dict[str, Any]]) -> None:
        append_lines(self._path, items)


def append_lines(path: Path, items: Sequence[Mapping[str, object]]) -> None:
    """Add lines of JSON to a file that other processes extend too; they are on the disk afterwards. Raises OSError."""
    if not items:
        return
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items).encode()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # the line before was cut
            text = b"\n" + text
        while text:
            text = text[os.write(descriptor, text) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(outcome: Outcome) -> dict[str, Any]:
    data = asdict(outcome) | {"at": outcome.at.isoformat(), "seconds": round(outcome.seconds, 2)}
    if outcome.version == 1:
        del data["version"]
    return {name: value for name, value in data.items() if value not in (None, "", False)}


def _take(line: bytes, entries: Entries) -> None:
    try:
        data = json.loads(line)
        if "subject" in data:
            entries.compared[int(data["subject"])] = str(data["compared"])
            return
        outcome = _outcome(data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return
    entries.addresses |= {outcome.address} - {""}
    if outcome.end is End.CLEARED:
        entries.outcomes.pop(outcome.row, None)
    else:
        entries.outcomes[outcome.row] = outcome


def _outcome(data: dict[str, Any]) -> Outcome:
    failure = data.get("failure")
    at = read_time(data.get("at"))
    if at is None:
        raise ValueError("an entry needs its time")
    return Outcome(
        row=int(data["row"]),
        task=str(data.get("task", "")),
        end=End(data["end"]),
        address=str(data.get("address", "")),
        failure=None if failure is None else FailureRecord(**failure),
        seconds=float(data.get("seconds", 0.0)),
        computed=bool(data.get("computed", False)),
        version=int(data.get("version", 1)),
        job=str(data.get("job", "")),
        at=at,
    )

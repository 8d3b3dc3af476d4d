"""DATA_DIR/studies/<id>/: the folder of a study, which is the truth about it.

study.json, manifest.csv, check.json and plan.json, journal.jsonl, tables/, and scans/ for uploaded ones. The analyses
of all studies are in DATA_DIR/analyses, by their address. Redis holds nothing that cannot be made from these again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from jobs.errors import StudyNotFound
from jobs.studies.journal import Journal, append_lines
from jobs.studies.plan import CHECK, PLAN, Plan, read_check, read_plan
from jobs.studies.record import StudyChanges, StudyRecord
from pipeline.workspace import write_json
from studies.check import Check

STUDIES: Final = "studies"
STORE: Final = "analyses"
SCANS: Final = "scans"
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StudyFolder:
    """The files of one study."""

    def __init__(self, data_dir: Path, study_id: str) -> None:
        """Raises StudyNotFound for an id that cannot be one."""
        if not _ID.fullmatch(study_id):
            raise StudyNotFound("There is no such study.")
        self.id = study_id
        self.path = data_dir / STUDIES / study_id
        self.store = data_dir / STORE
        self.manifest = self.path / "manifest.csv"
        self.scans = self.path / SCANS
        self.tables = self.path / "tables"
        self.journal_path = self.path / "journal.jsonl"
        self.reviews_path = self.path / "reviews.jsonl"
        self.written = self.path / "tables.json"

    @property
    def journal(self) -> Journal:
        """One object for each process, which continues where it stopped reading."""
        return _journal(self.journal_path)

    def record(self) -> StudyRecord:
        """Raises StudyNotFound."""
        try:
            return StudyRecord.from_dict(json.loads((self.path / "study.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise StudyNotFound("There is no such study.") from None

    def write(self, record: StudyRecord) -> None:
        """Raises OSError."""
        write_json(self.path / "study.json", record.to_dict())

    def change(self, decide: Callable[[StudyRecord], StudyChanges | None]) -> tuple[StudyRecord, bool]:
        """Apply the changed fields that `decide` returns (None: leave it); returns (record, changed).

        Raises StudyNotFound, OSError.
        """
        with self.locked():
            record = self.record()
            changes = decide(record)
            if not changes:
                return record, False
            changed = replace(record, **changes)
            self.write(changed)
            return changed, True

    def reviews(self) -> dict[int, dict[str, str]]:
        """Row -> its newest review: state, note, at; rows without one are left out."""
        found: dict[int, dict[str, str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self.reviews_path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    found[int(entry["row"])] = {name: str(entry[name]) for name in ("state", "note", "at")}
        return {row: entry for row, entry in found.items() if entry["state"]}

    def add_review(self, entry: dict[str, object]) -> None:
        """Append a review. Raises OSError."""
        append_lines(self.reviews_path, [entry])

    @property
    def reviews_size(self) -> int:
        """In bytes; grows with every review."""
        return self.reviews_path.stat().st_size if self.reviews_path.exists() else 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """While record, manifest and plan are changed. Raises StudyNotFound."""
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise StudyNotFound("There is no such study.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def plan(self) -> Plan | None:
        """None before the first check has ended."""
        return _plan(self.path, _stamp(self.path / PLAN))

    def check(self) -> Check | None:
        """None before the first check has ended."""
        return _check(self.path, _stamp(self.path / CHECK))


def study_folders(data_dir: Path) -> list[StudyFolder]:
    """All of them, in no order."""
    try:
        names = [entry.name for entry in os.scandir(data_dir / STUDIES)]
    except FileNotFoundError:
        return []
    return [StudyFolder(data_dir, name) for name in names if _ID.fullmatch(name)]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_ino


@lru_cache(maxsize=256)
def _journal(path: Path) -> Journal:
    return Journal(path)


@lru_cache(maxsize=16)
def _plan(path: Path, _: tuple[int, int]) -> Plan | None:
    return read_plan(path)


@lru_cache(maxsize=4)
def _check(path: Path, _: tuple[int, int]) -> Check | None:
    return read_check(path)

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
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from jobs.errors import StudyNotFound
from jobs.studies.journal import Journal, Outcome, append_lines
from jobs.studies.plan import CHECK, PLAN, SCANS, Plan, read_check, read_plan
from jobs.studies.record import StudyChanges, StudyRecord
from pipeline.workspace import write_json
from studies.agreement import Judgement
from studies.check import Check

STUDIES: Final = "studies"
STORE: Final = "analyses"
MAPS_REQUEST: Final = "request.json"
MAPS_MADE: Final = "made.json"
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class EditedRow:
    """A single job that was made of a row, so that a reader can correct its outlines.

    job      its id, that of the first version; task: fingerprint of the row
    base     address of the analysis that it repeats
    options  with which it does
    """

    job: str
    task: str
    base: str
    options: dict[str, object]

    def is_of(self, outcome: Outcome) -> bool:
        """Whether the row still has the analysis that the job repeats, or one of its versions."""
        return self.task == outcome.task and (outcome.address == self.base or outcome.job == self.job)


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
        self.editing_path = self.path / "editing.jsonl"
        self.written = self.path / "tables.json"
        self.maps = self.path / "maps"

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

    def judgements(self) -> list[Judgement]:
        """The newest judgement of each reader on each version of each row; withdrawn ones are left out."""
        found: dict[tuple[int, str, int], Judgement] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self.reviews_path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    item = Judgement(
                        row=int(entry["row"]),
                        reader=str(entry.get("reader", "")),
                        version=int(entry.get("version", 1)),
                        state=str(entry["state"]),
                        note=str(entry["note"]),
                    )
                    found[item.row, item.reader, item.version] = item
        return [item for item in found.values() if item.state]

    def add_review(self, entry: dict[str, object]) -> None:
        """Append a review. Raises OSError."""
        append_lines(self.reviews_path, [entry])

    def editing(self) -> dict[int, EditedRow]:
        """Row -> the single job in which its outlines are corrected, the newest one."""
        return _editing(self.editing_path, _stamp(self.editing_path))

    def add_editing(self, row: int, edited: EditedRow) -> None:
        """Append one. Raises OSError."""
        append_lines(self.editing_path, [{"row": row, **asdict(edited)}])

    def asked_maps(self) -> list[int]:
        """The numbers of requests for maps that have not been made (map_requests.py)."""
        try:
            places = [path for path in self.maps.iterdir() if path.name.isdecimal()]
        except FileNotFoundError:
            return []
        asked = [path for path in places if (path / MAPS_REQUEST).exists() and not (path / MAPS_MADE).exists()]
        return sorted(int(path.name) for path in asked)

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


@lru_cache(maxsize=64)
def _editing(path: Path, _: tuple[int, int]) -> dict[int, EditedRow]:
    found: dict[int, EditedRow] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                texts = {name: str(entry[name]) for name in ("job", "task", "base")}
                found[int(entry["row"])] = EditedRow(**texts, options=dict(entry["options"]))
    return found

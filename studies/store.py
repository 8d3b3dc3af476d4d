"""The store of analyses: one folder for each address, with its results and a record that is written last.

Several runs, on several machines, may share a store: whoever holds the lock of an address computes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.errors import KneeError
from pipeline.results_tree import (
    LABELS_NIFTI,
    MEASUREMENTS,
    OAI_TABLE,
    OVERLAY,
    PROVENANCE,
    RESULTS,
)
from pipeline.workspace import KEPT_FOLDER, write_json

RECORD: Final = "analysis.json"
FAILURE: Final = "failure.json"
TRACEBACK: Final = "traceback.txt"
_LOCK: Final = ".lock"

COMPACT: Final = (MEASUREMENTS, RESULTS, OAI_TABLE, PROVENANCE, OVERLAY, LABELS_NIFTI)
"""What is kept of the results tree where the study keeps only what its tables, and a look at the outlines, need."""


@dataclass(frozen=True, kw_only=True)
class AnalysisRecord:
    """What the tables need of a complete analysis besides its measurements.

    side      of the knee, as measured
    flags     codes of its quality flags; warnings: as in results.json
    versions  program, steps and packages, as in provenance.json
    inputs    digests of scan and label map
    version   of the outlines: 1, or that of a reader's correction
    """

    address: str
    side: str
    model: dict[str, object]
    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    versions: dict[str, object]
    inputs: dict[str, str]
    version: int = 1

    @property
    def model_id(self) -> str:
        return str(self.model["id"])

    @property
    def program(self) -> str:
        """Version, with the commit where it is known."""
        facts: dict[str, str] = dict(self.versions["program"])  # type: ignore[call-overload]  # read from JSON
        return "+".join(text for text in (facts.get("version", ""), facts.get("commit", "")[:12]) if text)


@dataclass(frozen=True, kw_only=True)
class FailureRecord:
    """Why an analysis has no results. step: of the analysis; empty before the first."""

    code: str
    message: str
    hint: str = ""
    step: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: KneeError) -> FailureRecord:
        return cls(code=error.code, message=error.message, hint=error.hint, step=str(error.facts.get("step", "")))


class AnalysisFolder:
    """The folder of one address."""

    def __init__(self, store: Path, address: str) -> None:
        self.address = address
        self.path = store / address
        self.workspace_dir = self.path / KEPT_FOLDER

    def record(self) -> AnalysisRecord | None:
        """None unless it is complete."""
        data = _read(self.path / RECORD)
        if data is None:
            return None
        texts = {name: tuple(data[name]) for name in ("flags", "warnings")}
        return AnalysisRecord(**data | texts)

    def failure(self) -> FailureRecord | None:
        """None unless it has failed."""
        data = _read(self.path / FAILURE)
        return None if data is None else FailureRecord(**data)

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        """Whether this process may compute it now. The lock ends with the process."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("a", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def prepare(self) -> None:
        """Before an attempt: what an earlier one computed is kept, unless it ended while results were moved."""
        (self.path / FAILURE).unlink(missing_ok=True)
        (self.path / TRACEBACK).unlink(missing_ok=True)
        if any(item.name not in (_LOCK, KEPT_FOLDER) for item in self.path.iterdir()):
            self._clear()

    def write_record(self, record: AnalysisRecord, *, compact: bool) -> None:
        """The last file. compact: only what COMPACT names is kept."""
        if compact:
            kept = {artifact.at(self.path) for artifact in COMPACT}
            for path in [item for item in self.path.rglob("*") if item.is_file()]:
                if path not in kept and path.name != _LOCK and self.workspace_dir not in path.parents:
                    path.unlink()
            for folder in [item for item in self.path.iterdir() if item.is_dir()]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        write_json(self.path / RECORD, asdict(record))

    def write_failure(self, failure: FailureRecord, traceback: str = "") -> None:
        """In place of results. What the attempt has computed is deleted."""
        self._clear()
        if traceback:
            (self.path / TRACEBACK).write_text(traceback, encoding="utf-8")
        write_json(self.path / FAILURE, asdict(failure))

    def _clear(self) -> None:
        for item in self.path.iterdir():
            if item.name == _LOCK:
                continue
            if item.is_dir():
                shutil.rmtree(item)
            else:
                item.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    """None if the file is missing or was not written by this version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return data if isinstance(data, dict) else None

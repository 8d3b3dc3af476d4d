"""A job: its record in Redis (JobRecord, the public contract) and what edges show of it (JobView)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pipeline.file_kinds import extension_of
from pipeline.options import AnalysisOptions
from pipeline.progress import StepState
from pipeline.results_tree import archive_name


class Status(StrEnum):
    """The life of a job. A cancelled job is an error whose code is CANCELLED."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETE = "complete"
    ERROR = "error"

    @property
    def words(self) -> str:
        """For people: the word for a step in the same state."""
        return _STATES[self].words

    @property
    def final(self) -> bool:
        return self in (Status.COMPLETE, Status.ERROR)


_STATES: Final = {
    Status.QUEUED: StepState.WAITING,
    Status.PROCESSING: StepState.RUNNING,
    Status.COMPLETE: StepState.DONE,
    Status.ERROR: StepState.FAILED,
}

CANCELLED: Final = "CANCELLED"
WORKER_LOST: Final = "WORKER_LOST"


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def read_time(value: object) -> datetime | None:
    """An ISO 8601 time; naive ones are UTC; None where there is none or it cannot be read."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and value:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    else:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@dataclass(kw_only=True)
class JobRecord:
    """The value of one field of the Redis hash `jobs`, as JSON.

    Fields of other programs are kept in `extra` and written back. `ours` is False for a record that another program
    wrote in the specification's form: it has no queue entry and is served as it stands.
    """

    id: str
    input_filename: str = "unknown"
    input_path: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    status: Status = Status.QUEUED
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    progress_percent: int = 0
    current_step: int = 0
    total_steps: int = 0
    step_name: str = ""
    result_path: str | None = None
    result_size_bytes: int | None = None
    error_message: str | None = None
    error_code: str | None = None
    retain_for_research: bool = False
    email: str | None = None
    attempt: int = 0
    lost_attempts: int = 0
    voxels: int = 0
    warnings: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    expires_at: datetime | None = None
    hint: str = ""
    ours: bool = True
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> JobRecord:
        """Raises ValueError or TypeError where the text is no JSON object with an id and a known status."""
        data = json.loads(text)
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            raise TypeError("a job's record must be a JSON object with an id")
        known: dict[str, Any] = {name: data[name] for name in _STORED & data.keys() if data[name] is not None}
        for name in _TIMES:
            known[name] = read_time(data.get(name))
        known["status"] = Status(data.get("status", Status.QUEUED))
        extra = {name: value for name, value in data.items() if name not in _STORED}
        return cls(**known, ours="attempt" in data, extra=extra)

    def to_json(self) -> str:
        """The stored form."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, times as ISO 8601 with offset."""
        data = dict(self.extra)
        for name in _ORDERED:
            if not self.ours and name in _OURS_ALONE:
                continue
            value = getattr(self, name)
            data[name] = value.isoformat() if isinstance(value, datetime) else value
        return data

    @property
    def archive_name(self) -> str:
        """Name under which the results zip is downloaded: `{input stem}_results.zip`."""
        return archive_name(self.input_filename)

    @property
    def processing_seconds(self) -> float | None:
        """From start to end; None until both are known."""
        if self.started_at is None or self.completed_at is None:
            return None
        return max(0.0, (self.completed_at - self.started_at).total_seconds())


_ORDERED: Final = tuple(item.name for item in fields(JobRecord) if item.name not in ("ours", "extra"))
_STORED: Final = frozenset(_ORDERED)
_TIMES: Final = ("created_at", "started_at", "completed_at", "expires_at")
_OURS_ALONE: Final = ("attempt", "lost_attempts", "voxels", "warnings", "steps", "expires_at", "hint")


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job as pages and routes show it. Times are aware; seconds are whole; positions count from 1."""

    id: str
    input_filename: str
    status: Status
    progress_percent: int = 0
    step_name: str = ""
    current_step: int = 0
    total_steps: int = 0
    queue_position: int = 0
    estimated_wait_seconds: int = 0
    estimated_remaining_seconds: int = 0
    elapsed_seconds: int = 0
    steps: tuple[dict[str, Any], ...] = ()
    """name, title, state (a StepState), seconds or None, reason."""
    warnings: tuple[str, ...] = ()
    error_message: str = ""
    error_code: str = ""
    hint: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    options: dict[str, Any] = field(default_factory=lambda: AnalysisOptions().to_dict())
    result_size_bytes: int = 0
    archive_name: str = ""

    @property
    def state_words(self) -> str:
        """Its state for people."""
        return CANCELLED.capitalize() if self.error_code == CANCELLED else self.status.words


def clean_filename(filename: str) -> str:
    """What of a client's file name is kept: the last part, printable characters, at most 200 of them."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable() and c not in '"<>|:*?').strip().lstrip(".")
    if len(name) > 200:
        extension = extension_of(name)
        name = name[: 200 - len(extension)] + extension
    return name or "unknown"

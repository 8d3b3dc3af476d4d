"""A job: its record in Redis (JobRecord, a published format) and its public view (JobView)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypedDict

from pipeline.file_kinds import extension_of, input_stem
from pipeline.options import AnalysisOptions
from pipeline.progress import StepRecord, StepState
from pipeline.results_tree import archive_name
from pipeline.segmentation.identity import GIVEN


class Status(StrEnum):
    """The state of a job. A cancelled job has the state ERROR and the code CANCELLED."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETE = "complete"
    ERROR = "error"

    @property
    def words(self) -> str:
        """Display text, the same as for a step in this state."""
        return _STATES[self].words

    @property
    def final(self) -> bool:
        return self in (Status.COMPLETE, Status.ERROR)


class Priority(StrEnum):
    """Order of waiting jobs: an interactive one, for which a user waits, is put before bulk ones (queue.py)."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


_STATES: Final = {
    Status.QUEUED: StepState.WAITING,
    Status.PROCESSING: StepState.RUNNING,
    Status.COMPLETE: StepState.DONE,
    Status.ERROR: StepState.FAILED,
}

RECORD_VERSION: Final = 3
"""Version of the format of records and job folders; docs/how-to/backup.md lists the versions."""

CORRECTED: Final = "corrected"
"""Instead of a model: the outlines were corrected, and no model runs."""

CANCELLED: Final = "CANCELLED"
WORKER_LOST: Final = "WORKER_LOST"


def read_time(value: object) -> datetime | None:
    """An ISO 8601 time; naive ones are UTC; None if missing or invalid."""
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

    Paths are relative to the job's folder. input_path is empty if only a label map was sent. labels_path is empty
    without a label map, and equals input_path if one file holds both.

    Fields of other programs are kept in `extra` and written back. `ours` is False for a record of another program in
    the specification's format: it has no queue entry and is served unchanged.
    """

    id: str
    input_filename: str = "unknown"
    input_path: str = ""
    options: dict[str, object] = field(default_factory=dict)
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
    steps: list[StepRecord] = field(default_factory=list)
    expires_at: datetime | None = None
    hint: str = ""
    labels_path: str = ""
    fault: str = ""
    memory_faults: list[int] = field(default_factory=list)
    """fault: the fault of the machine that interrupted the last attempt. memory_faults: for each attempt that ran out
    of memory, the number of jobs that this server had completed.
    """
    offers: dict[str, list[str]] = field(default_factory=dict)
    """Option -> values with which a job that failed can be run again."""
    priority: Priority = Priority.INTERACTIVE
    corrected: bool = False
    version_of: str = ""
    version: int = 1
    base_version: int = 0
    way: str = ""
    note: str = ""
    initials: str = ""
    edits: list[dict[str, object]] = field(default_factory=list)
    """corrected: the work folder has a correction of the outlines. version_of: id of the first version; empty for that
    one. base_version: the version that this one was made from. way: of EditWay; note, initials: of the reader; edits:
    voxels per structure that this version added and removed (pipeline/edits.py).
    """
    owner: str = ""
    """A person or a project (jobs/access); empty: the operator's. Stored where it is not empty."""
    review: dict[str, str] = field(default_factory=dict)
    """state (of ReviewState), reason, and the time, at; empty: not reviewed."""
    ours: bool = True
    extra: dict[str, object] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> JobRecord:
        """Raises ValueError or TypeError if the text is not a JSON object with an id and a known status."""
        data = json.loads(text)
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            raise TypeError("a job's record must be a JSON object with an id")
        known = {name: data[name] for name in _STORED & data.keys() if data[name] is not None}
        for name in _TIMES:
            known[name] = read_time(data.get(name))
        known["status"] = Status(data.get("status", Status.QUEUED))
        known["steps"] = read_steps(data.get("steps"))
        known["priority"] = Priority(data.get("priority", Priority.INTERACTIVE))
        extra = {name: value for name, value in data.items() if name not in _STORED}
        return cls(**known, ours="attempt" in data, extra=extra)

    def to_json(self) -> str:
        """The value stored in Redis; the only form that holds the e-mail address."""
        return json.dumps(self._stored(), ensure_ascii=False)

    def public(self) -> dict[str, object]:
        """Plain JSON values without the e-mail address: the form in which a record may leave Redis."""
        return self._stored() | {"email": None}

    def _stored(self) -> dict[str, object]:
        data = dict(self.extra)
        for name in _ORDERED:
            if not self.ours and name in _OURS_ALONE:
                continue
            value = getattr(self, name)
            if name == "owner" and not value:
                continue
            data[name] = value.isoformat() if isinstance(value, datetime) else value
        if "steps" in data:
            data["steps"] = [asdict(step) for step in self.steps]
        return data

    @property
    def outlined_by(self) -> str:
        """The model that makes the outlines; GIVEN for a label map of the user, CORRECTED for those of a reader."""
        if self.corrected:
            return CORRECTED
        return GIVEN if self.labels_path else str(self.options.get("segmentation_model", "unknown"))

    @property
    def archive_name(self) -> str:
        """Download name of the results zip: `{input stem}_results.zip`, `{input stem}_v2_results.zip`."""
        stem = input_stem(self.input_filename)
        return archive_name(stem if self.version == 1 else f"{stem}_v{self.version}")

    @property
    def family(self) -> str:
        """Id of the first version."""
        return self.version_of or self.id

    @property
    def processing_seconds(self) -> float | None:
        """From start to end; None until both are known."""
        if self.started_at is None or self.completed_at is None:
            return None
        return max(0.0, (self.completed_at - self.started_at).total_seconds())


_ORDERED: Final = tuple(item.name for item in fields(JobRecord) if item.name not in ("ours", "extra"))
_STORED: Final = frozenset(_ORDERED)
_TIMES: Final = ("created_at", "started_at", "completed_at", "expires_at")
_OURS_ALONE: Final = (
    *("attempt", "lost_attempts", "voxels", "warnings", "steps", "expires_at", "hint", "labels_path", "offers"),
    *("fault", "memory_faults", "priority"),
    *("corrected", "version_of", "version", "base_version", "way", "note", "initials", "edits", "review", "owner"),
)


class RecordChanges(TypedDict, total=False):
    """Fields of a JobRecord that change together."""

    options: dict[str, object]
    status: Status
    started_at: datetime | None
    completed_at: datetime | None
    progress_percent: int
    current_step: int
    total_steps: int
    step_name: str
    result_path: str | None
    result_size_bytes: int | None
    error_message: str | None
    error_code: str | None
    email: str | None
    attempt: int
    lost_attempts: int
    warnings: list[str]
    steps: list[StepRecord]
    expires_at: datetime | None
    hint: str
    offers: dict[str, list[str]]
    fault: str
    memory_faults: list[int]
    review: dict[str, str]
    owner: str


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job as pages and routes show it. Times have a time zone; seconds are whole; positions count from 1."""

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
    steps: tuple[StepRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    error_message: str = ""
    error_code: str = ""
    hint: str = ""
    offers: dict[str, list[str]] = field(default_factory=dict)
    priority: Priority = Priority.INTERACTIVE
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    options: dict[str, object] = field(default_factory=lambda: AnalysisOptions().to_dict())
    result_size_bytes: int = 0
    archive_name: str = ""
    family: str = ""
    version: int = 1
    corrected: bool = False
    review: dict[str, str] = field(default_factory=dict)
    owner: str = ""

    @property
    def state_words(self) -> str:
        """Display text of its state."""
        return CANCELLED.capitalize() if self.error_code == CANCELLED else self.status.words


def read_steps(value: object) -> list[StepRecord]:
    """The steps in a record or manifest; entries that cannot be read are left out."""
    entries = value if isinstance(value, list) else []
    return [step for entry in entries if isinstance(entry, dict) and (step := _read_step(entry)) is not None]


def _read_step(entry: dict[str, object]) -> StepRecord | None:
    seconds = entry.get("seconds")
    try:
        return StepRecord(
            name=str(entry["name"]),
            title=str(entry.get("title", "")),
            state=StepState(str(entry.get("state", StepState.WAITING))),
            seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
            reason=str(entry.get("reason", "")),
        )
    except (KeyError, ValueError):
        return None


def clean_filename(filename: str) -> str:
    """A client's file name reduced to its last part, printable characters, at most 200."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable() and c not in '"<>|:*?').strip().lstrip(".")
    if len(name) > 200:
        extension = extension_of(name)
        name = name[: 200 - len(extension)] + extension
    return name or "unknown"

"""A study: its record, study.json in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from jobs.state.model import Status, read_time
from pipeline.progress import StepState


class Phase(StrEnum):
    """What the owner of a study, or its check, has decided."""

    CHECKING = "checking"
    CHECKED = "checked"
    INVALID = "invalid"
    RUNNING = StepState.RUNNING.value
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETE = Status.COMPLETE.value


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """The content of study.json.

    revision  of the manifest: raised when rows are added
    folder    of the operator, that holds the scans; empty for uploaded ones
    options   of the analyses; accepted: codes of doubts with which rows are analysed nevertheless
    compact   keep only what the tables need of each analysis
    run       whether the rows are to be analysed as soon as the check has ended
    problem   code, message and hint, where no row of the manifest can be read
    owner     a person or a project (jobs/access); empty: the operator's
    """

    id: str
    name: str
    created_at: datetime
    phase: Phase = Phase.CHECKING
    revision: int = 1
    folder: str = ""
    options: dict[str, object] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    compact: bool = False
    run: bool = False
    expires_at: datetime | None = None
    problem: dict[str, str] = field(default_factory=dict)
    owner: str = ""

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        data: dict[str, object] = {item.name: getattr(self, item.name) for item in fields(self)}
        times = {name: value.isoformat() for name, value in data.items() if isinstance(value, datetime)}
        return data | times | {"accepted": list(self.accepted)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> StudyRecord:
        """Raises TypeError or ValueError for anything else; fields of later versions are ignored."""
        known: dict[str, Any] = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        created = read_time(known.get("created_at"))
        if created is None:
            raise ValueError("a study needs the time at which it was made")
        known |= {
            "created_at": created,
            "expires_at": read_time(known.get("expires_at")),
            "phase": Phase(known.get("phase", Phase.CHECKING)),
            "accepted": tuple(known.get("accepted", ())),
        }
        return cls(**known)


class StudyChanges(TypedDict, total=False):
    """Fields of a StudyRecord that change together."""

    phase: Phase
    revision: int
    accepted: tuple[str, ...]
    run: bool
    expires_at: datetime | None
    problem: dict[str, str]
    owner: str

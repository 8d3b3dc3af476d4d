"""What belongs to somebody: a job, a study, an upload that waits, a project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from jobs.errors import JobError


class HeldKind(StrEnum):
    """Of what belongs to somebody."""

    JOB = "job"
    STUDY = "study"
    SCAN = "scan"
    PROJECT = "project"


@dataclass(frozen=True, kw_only=True)
class Held:
    """owner: id of a person or a project; empty: the operator's, as everything that was made without sign-in.

    group    what a link to it shows: all versions of an analysis; else its id
    missing  makes the error that an unknown id gives
    """

    kind: HeldKind
    id: str
    owner: str
    missing: Callable[[], JobError]
    group: str = ""

    def __post_init__(self) -> None:
        if not self.group:
            object.__setattr__(self, "group", self.id)

    @property
    def name(self) -> str:
        """For the audit log."""
        return f"{self.kind}:{self.id}"

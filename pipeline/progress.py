"""The state of each step of an analysis, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StepState(StrEnum):
    """The state of a step; the value stands in files and on the wire."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def words(self) -> str:
        """For people, at the beginning of a line."""
        return self.value.capitalize()

    @property
    def ended_without_result(self) -> bool:
        """Whether a reason belongs to it."""
        return self in (StepState.SKIPPED, StepState.FAILED)


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """Result of a step: state, wall seconds, and the reason where it was skipped or failed."""

    name: str
    title: str
    state: StepState
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of an analysis: step `index` (from 1) of `total` is running, `percent` (0 to 100) is done."""

    name: str
    title: str
    index: int
    total: int
    percent: int
    steps: tuple[StepRecord, ...]

"""The state of each step of an analysis, and its display text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StepState(StrEnum):
    """The state of a step; the value is used in files and in the REST interface."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def words(self) -> str:
        """Display text for the beginning of a line."""
        return self.value.capitalize()

    @property
    def ended_without_result(self) -> bool:
        """Whether this state has a reason."""
        return self in (StepState.SKIPPED, StepState.FAILED)


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """Result of a step: state, wall seconds, and the reason if it was skipped or failed."""

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

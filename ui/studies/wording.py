"""States of studies and of their rows in words and colours."""

from __future__ import annotations

from typing import Final, Literal

from jobs import service
from jobs.state.model import Status
from pipeline.progress import StepState
from studies.row_state import RowState
from ui.parts import wording

Colour = Literal["gray", "blue", "green", "red", "orange"]

PHASES: Final[dict[str, tuple[Colour, str, str]]] = {
    "checking": ("blue", ":material/fact_check:", "Checking the rows"),
    "checked": ("orange", ":material/rule:", "Checked, not started"),
    "invalid": ("red", ":material/error:", "The manifest cannot be read"),
    StepState.RUNNING.value: ("blue", ":material/sync:", StepState.RUNNING.words),
    "paused": ("gray", ":material/pause:", "Paused"),
    "cancelled": ("gray", ":material/block:", "Cancelled"),
    Status.COMPLETE.value: ("green", ":material/check:", "Complete"),
}
"""Phase -> colour, icon and words."""

ROW_STATES: Final = {
    "": "All",
    RowState.COMPLETE.value: "Analysed",
    RowState.FAILED.value: StepState.FAILED.words,
    RowState.LEFT_OUT.value: "Left out",
    RowState.WAITING.value: StepState.WAITING.words,
    StepState.RUNNING.value: StepState.RUNNING.words,
}


def progress_text(study: service.studies.StudyView) -> str:
    """`12 of 40 rows · 2 failed · 300 rows per hour · about 6 min left`."""
    done = study.complete + study.failed
    parts = [f"{done:,} of {study.ready:,} rows"]
    if study.failed:
        parts.append(f"{study.failed:,} {RowState.FAILED}")
    if study.left_out:
        parts.append(f"{study.left_out:,} left out")
    if study.running:
        parts.append(f"{study.running} in work")
    if study.rows_per_hour and study.remaining_seconds:
        parts.append(f"{study.rows_per_hour:,.0f} rows per hour")
        parts.append(f"about {wording.duration(study.remaining_seconds)} left")
    return "  ·  ".join(parts)

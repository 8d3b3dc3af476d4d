"""States of studies and of their rows in words and colours."""

from __future__ import annotations

from typing import Final, Literal

from jobs import service
from pipeline.progress import StepState
from ui.parts import wording

Colour = Literal["gray", "blue", "green", "red", "orange"]

PHASES: Final[dict[str, tuple[Colour, str, str]]] = {
    "checking": ("blue", ":material/fact_check:", "Checking the rows"),
    "checked": ("orange", ":material/rule:", "Checked, not started"),
    "invalid": ("red", ":material/error:", "The manifest cannot be read"),
    StepState.RUNNING.value: ("blue", ":material/sync:", "Running"),
    "paused": ("gray", ":material/pause:", "Paused"),
    "cancelled": ("gray", ":material/block:", "Cancelled"),
    "complete": ("green", ":material/check:", "Complete"),
}
"""Phase -> colour, icon and words."""

ROW_STATES: Final = {
    "": "All",
    "analysed": "Analysed",
    "failed": "Failed",
    "left_out": "Left out",
    "waiting": "Waiting",
    StepState.RUNNING.value: "Running",
}


def progress_text(study: service.studies.StudyView) -> str:
    """`12 of 40 rows · 2 failed · 300 rows per hour · about 6 min left`."""
    done = study.complete + study.failed
    parts = [f"{done:,} of {study.ready:,} rows"]
    if study.failed:
        parts.append(f"{study.failed:,} failed")
    if study.left_out:
        parts.append(f"{study.left_out:,} left out")
    if study.running:
        parts.append(f"{study.running} in work")
    if study.rows_per_hour and study.remaining_seconds:
        parts.append(f"{study.rows_per_hour:,.0f} rows per hour")
        parts.append(f"about {wording.duration(study.remaining_seconds)} left")
    return "  ·  ".join(parts)

"""What can become of a row of a study."""

from __future__ import annotations

from enum import StrEnum

from pipeline.progress import StepState


class RowState(StrEnum):
    """State of a row in the tables."""

    COMPLETE = "analysed"
    FAILED = StepState.FAILED.value
    LEFT_OUT = "left_out"
    WAITING = StepState.WAITING.value

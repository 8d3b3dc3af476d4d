"""What a reader says about a result."""

from __future__ import annotations

from enum import StrEnum


class ReviewState(StrEnum):
    """The judgement of a reader."""

    ACCEPTED = "accepted"
    TO_BE_CORRECTED = "to_be_corrected"
    REJECTED = "rejected"

    @property
    def words(self) -> str:
        """Display text."""
        return self.replace("_", " ")

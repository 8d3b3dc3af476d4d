"""What the tables are made of: the rows of a study, each with what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studies.agreement import Judgement
from studies.check import Check
from studies.longitudinal import Examination
from studies.row_state import RowState
from studies.rules import CheckedRow
from studies.store import AnalysisFolder, AnalysisRecord, FailureRecord


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """checked: the row; record or failure: of its analysis, where it has ended; review: on which all readers agree."""

    checked: CheckedRow
    state: RowState
    record: AnalysisRecord | None = None
    failure: FailureRecord | None = None
    review: str = ""

    @property
    def number(self) -> int:
        return self.checked.row.number

    @property
    def side(self) -> str:
        """As measured, else as stated; empty if neither."""
        return self.record.side if self.record is not None else str(self.checked.stated_side or "")

    @property
    def key(self) -> tuple[str, ...]:
        """The first columns of every table: row, subject, visit, side, years after the first visit."""
        person, years = self.checked.row.person, self.checked.years
        return str(self.number), person.subject, person.visit, self.side, "" if years is None else f"{years:.4f}"


KEY_COLUMNS = ("row", "subject", "visit", "side", "years")


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """A study at one moment. judgements: of readers, on any version of the outlines of its rows."""

    check: Check
    store: Path
    rows: tuple[StudyRow, ...]
    name: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()

    @property
    def complete(self) -> list[tuple[StudyRow, AnalysisRecord]]:
        """The rows with results, in the order of the manifest."""
        return [(row, row.record) for row in self.rows if row.record is not None]

    @property
    def examinations(self) -> list[Examination]:
        """The same for comparisons; of rows that name the same analysis, only the first."""
        return [
            Examination(
                row=row.number,
                subject=row.checked.row.person.subject,
                visit=row.checked.row.person.visit,
                years=row.checked.years,
                record=record,
            )
            for row, record in self.complete
        ]

    def folder(self, record: AnalysisRecord) -> Path:
        """Of the results of an analysis."""
        return AnalysisFolder(self.store, record.address).path

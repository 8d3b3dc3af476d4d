"""reviews.csv and agreement.csv: what readers say about the knees, and how far two of them agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from studies.agreement import COMBINATIONS, agreements
from studies.tables.listings import csv_text
from studies.tables.rows import StudyState

REVIEWS_CSV: Final = "reviews.csv"
AGREEMENT_CSV: Final = "agreement.csv"

REVIEWS_COLUMNS: Final = ("row", "subject", "visit", "side", "version", "reader", "state", "present", "note")
COUNT_COLUMNS: Final = tuple(f"{first}_{second}" for first, second in COMBINATIONS)
AGREEMENT_COLUMNS: Final = (
    *("first_reader", "second_reader", "knees", "agreed", "share", "expected_share", "kappa", "kappa_error"),
    *COUNT_COLUMNS,
)


def reviews_csv(state: StudyState) -> str:
    """One line for each judgement, also of versions that were replaced by a correction."""
    return csv_text(REVIEWS_COLUMNS, _reviews(state))


def _reviews(state: StudyState) -> Iterable[list[object]]:
    rows = {row.number: (row, record) for row, record in state.complete}
    for item in sorted(state.judgements, key=lambda item: (item.row, item.version, item.reader)):
        if item.row in rows:
            row, record = rows[item.row]
            present = "yes" if item.version == record.version else "no"
            yield [*row.key[:4], item.version, item.reader, item.state, present, item.note]


def agreement_csv(state: StudyState) -> str:
    """One line for every two readers who have judged the same knees."""
    rows = {row.number for row, _ in state.complete}
    found = agreements(item for item in state.judgements if item.row in rows)
    return csv_text(
        AGREEMENT_COLUMNS,
        (
            [
                *(item.first, item.second, item.knees, item.agreed, f"{item.share:.4f}", f"{item.expected:.4f}"),
                *("" if value is None else f"{value:.4f}" for value in (item.kappa, item.error)),
                *(item.counts.get(states, 0) for states in COMBINATIONS),
            ]
            for item in found
        ),
    )

"""What readers say about the knees of a study: one line for each judgement, in a file that only grows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from jobs.errors import ResultNotFound
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import ReviewState
from jobs.state.queue import queue_errors
from jobs.studies.progress import judged
from studies.row_state import RowState
from studies.tables.names import RANKING_CSV, REASONS_SEPARATOR


@dataclass(frozen=True, kw_only=True)
class RankedKnee:
    """A complete row in the order of what looks wrong. review: of ReviewState, empty where it was not reviewed.

    analysis  address of its results, which changes when it is measured again
    """

    rank: int
    row: int
    subject: str
    visit: str
    side: str
    score: float
    reasons: tuple[str, ...]
    analysis: str
    review: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The knees of a study, the most conspicuous first. reviewed: state -> number of knees."""

    knees: tuple[RankedKnee, ...]
    reviewed: dict[str, int]


@queue_errors()
def gallery(study_id: str) -> Gallery:
    """Raises StudyNotFound, StudyConflict; ResultNotFound before tables were written."""
    folder, _, plan = judged(open_backend(), study_id)
    try:
        text = (folder.tables / RANKING_CSV).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResultNotFound(
            "The study has no ranking yet.", hint="It is written with the tables, when the first rows have ended."
        ) from None
    outcomes, reviews = folder.journal.read().outcomes, folder.reviews()
    knees = []
    for line in csv.DictReader(io.StringIO(text)):
        row = int(line["row"])
        state, outcome = plan.state_of(row, outcomes)
        if outcome is None or state is not RowState.COMPLETE:
            continue
        review = reviews.get(row, {})
        reasons = tuple(reason for reason in line["reasons"].split(REASONS_SEPARATOR) if reason)
        knees.append(
            RankedKnee(
                rank=int(line["rank"]),
                row=row,
                subject=line["subject"],
                visit=line["visit"],
                side=line["side"],
                score=float(line["score"]),
                reasons=reasons,
                analysis=outcome.address,
                review=review.get("state", ""),
                note=review.get("note", ""),
            )
        )
    states = [knee.review for knee in knees if knee.review]
    return Gallery(knees=tuple(knees), reviewed={state: states.count(state) for state in ReviewState})


@queue_errors()
def review(study_id: str, row: int, state: str, note: str = "") -> dict[str, object]:
    """Note the judgement of a complete row; an empty state removes it. Raises ResultNotFound."""
    folder, _, plan = judged(open_backend(), study_id)
    found, _ = plan.state_of(row, folder.journal.read().outcomes)
    if found is not RowState.COMPLETE:
        raise ResultNotFound("The study has no results of this row.", hint="Ask for the rows of the study.")
    entry: dict[str, object] = {"row": row, "state": state, "note": note, "at": now().isoformat()}
    folder.add_review(entry)
    return entry

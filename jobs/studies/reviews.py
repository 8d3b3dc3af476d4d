"""What readers say about the knees of a study: one line for each judgement, in a file that only grows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from jobs.errors import ResultNotFound
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.queue import queue_errors
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import Outcome
from jobs.studies.progress import complete_row, judged
from pipeline.review_state import ReviewState
from studies.agreement import Agreement, Judgement, agreements, by_row, common_state, valid
from studies.row_state import RowState
from studies.store import AnalysisFolder
from studies.tables.names import RANKING_CSV, REASONS_SEPARATOR


@dataclass(frozen=True, kw_only=True)
class RankedKnee:
    """A complete row in the order of what looks wrong.

    review    of ReviewState: that of the reader who asks, or the one on which all readers agree, else DISAGREEMENT;
              empty where the present version of the outlines was not reviewed; note: of the reader who asks
    analysis  address of its results, which changes when it is measured again; version: of its outlines
    """

    rank: int
    row: int
    subject: str
    visit: str
    side: str
    score: float
    reasons: tuple[str, ...]
    analysis: str
    version: int = 1
    review: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The knees of a study, the most conspicuous first. reviewed: state -> number of knees; readers: their initials."""

    knees: tuple[RankedKnee, ...]
    reviewed: dict[str, int]
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReaderProgress:
    """How far a reader is with the knees of a study. reviewed: state -> number; remaining: not reviewed yet."""

    reader: str
    reviewed: dict[str, int]
    remaining: int


@dataclass(frozen=True, kw_only=True)
class ReadKnee:
    """What each reader says about a knee. states: initials -> state; missing: readers who have not judged it."""

    row: int
    subject: str
    visit: str
    side: str
    version: int
    states: dict[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Readers:
    """The review of a study by its readers.

    knees       complete rows; by_all: of them, those that every reader has judged
    pairs       agreement of every two readers
    side_by_side  the knees that at least one reader has judged, those on which readers differ first
    """

    knees: int
    by_all: int
    readers: tuple[ReaderProgress, ...]
    pairs: tuple[Agreement, ...]
    side_by_side: tuple[ReadKnee, ...]


@queue_errors()
def readers(study_id: str) -> Readers:
    """Progress and agreement of all readers. Raises StudyNotFound, StudyConflict."""
    folder, check, plan = judged(open_backend(), study_id)
    outcomes = folder.journal.read().outcomes
    ends = ((row, plan.state_of(row.row.number, outcomes)) for row in check.rows)
    complete = {
        row.row.number: (row, outcome)
        for row, (state, outcome) in ends
        if outcome is not None and state is RowState.COMPLETE
    }
    judgements = [item for item in folder.judgements() if item.row in complete]
    present = valid(judgements, {number: outcome.version for number, (_, outcome) in complete.items()})
    names = tuple(sorted({item.reader for item in judgements}))
    said = by_row(present)
    knees = [
        ReadKnee(
            row=number,
            subject=complete[number][0].row.person.subject,
            visit=complete[number][0].row.person.visit,
            side=_side(folder, complete[number][1]),
            version=complete[number][1].version,
            states={item.reader: item.state for item in items},
            missing=tuple(name for name in names if name not in {item.reader for item in items}),
        )
        for number, items in said.items()
    ]
    return Readers(
        knees=len(complete),
        by_all=sum(not knee.missing for knee in knees),
        readers=tuple(_progress(name, present, len(complete)) for name in names),
        pairs=tuple(agreements(judgements)),
        side_by_side=tuple(sorted(knees, key=lambda knee: (len(set(knee.states.values())) < 2, knee.row))),
    )


def _side(folder: StudyFolder, outcome: Outcome) -> str:
    record = AnalysisFolder(folder.store, outcome.address).record()
    return "" if record is None else record.side


def _progress(reader: str, present: list[Judgement], knees: int) -> ReaderProgress:
    states = [item.state for item in present if item.reader == reader]
    return ReaderProgress(
        reader=reader,
        reviewed={state.value: states.count(state) for state in ReviewState},
        remaining=knees - len(states),
    )


@queue_errors()
def gallery(study_id: str, reader: str = "") -> Gallery:
    """reader: initials; only the reviews of this one are shown, so that readers judge independently; empty: all.

    Raises StudyNotFound, StudyConflict; ResultNotFound before tables were written.
    """
    folder, _, plan = judged(open_backend(), study_id)
    try:
        text = (folder.tables / RANKING_CSV).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResultNotFound(
            "The study has no ranking yet.", hint="It is written with the tables, when the first rows have ended."
        ) from None
    outcomes, judgements = folder.journal.read().outcomes, folder.judgements()
    said = by_row(judgements)
    name = initials_of(reader)
    knees = []
    for line in csv.DictReader(io.StringIO(text)):
        row = int(line["row"])
        state, outcome = plan.state_of(row, outcomes)
        if outcome is None or state is not RowState.COMPLETE:
            continue
        present = valid(said.get(row, []), {row: outcome.version})
        if name:
            present = [item for item in present if item.reader == name]
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
                version=outcome.version,
                review=common_state(present),
                note=present[0].note if len(present) == 1 else "",
            )
        )
    states = [knee.review for knee in knees if knee.review]
    return Gallery(
        knees=tuple(knees),
        reviewed={state: states.count(state) for state in ReviewState},
        readers=tuple(sorted({item.reader for item in judgements if item.reader})),
    )


@queue_errors()
def review(study_id: str, row: int, state: str, note: str = "", reader: str = "") -> dict[str, object]:
    """Note the judgement of a reader on the present version of a complete row; an empty state removes it.

    Raises ResultNotFound.
    """
    folder, _, outcome = complete_row(open_backend(), study_id, row)
    entry: dict[str, object] = {
        "row": row,
        "reader": initials_of(reader),
        "version": outcome.version,
        "state": state,
        "note": note,
        "at": now().isoformat(),
    }
    folder.add_review(entry)
    return entry


def initials_of(text: str) -> str:
    """Initials as they are compared: ab and AB are one reader."""
    return " ".join("".join(c for c in text if c.isprintable()).split()).upper()

"""Fills the queue of studies with the next parts: those that have not ended and that nobody works on.

What has ended is in the folders of the studies, so that a killed worker, a restarted queue or an entry that is lost
changes nothing: the part is queued again. If a part is queued twice, the second finds that it has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from typing import Final

from jobs.errors import QueueUnavailable, StudyNotFound
from jobs.state.backend import Backend
from jobs.state.data_dir import claim_data_dir
from jobs.state.model import JobRecord, Status
from jobs.state.queue import queue_errors
from jobs.studies.entries import Kind, Part
from jobs.studies.folder import EditedRow, StudyFolder, study_folders
from jobs.studies.journal import Entries, Outcome
from jobs.studies.plan import Plan
from jobs.studies.record import Phase, StudyRecord
from studies.row_state import RowState

WINDOW: Final = 64
"""Parts in the queue at any time."""

TABLES_EVERY_S: Final = 60.0
TABLES_SHARE: Final = 0.05
REVIEWED_EVERY_S: Final = 10.0
"""While a study runs, or is reviewed: its tables are written at most so often, for at most this share of the time."""

log = logging.getLogger(__name__)


class Feeder:
    """Called by every worker, every few seconds and after each part."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def feed_safely(self) -> None:
        """Fill the queue, unless another process does; never raises."""
        try:
            with queue_errors():
                if not self._backend.studies.may_feed():
                    return
                try:
                    self.feed()
                finally:
                    self._backend.studies.fed()
        except QueueUnavailable as error:
            log.info("studies: the queue was not filled: %s", error.message)
        except Exception:  # a maintenance task must not end the worker
            log.exception("studies: filling the queue failed")

    @queue_errors()
    def feed(self) -> None:
        """Raises QueueUnavailable, OSError."""
        if not claim_data_dir(self._backend.client, self._backend.storage):
            return
        queue = self._backend.studies
        waiting = queue.waiting()
        known = {*waiting, *queue.in_work(), *queue.put_off()}
        urgent: list[str] = []
        rest: list[Iterator[str]] = []
        for folder in study_folders(self._backend.settings.data_dir):
            with contextlib.suppress(StudyNotFound):
                record = folder.record()
                if record.phase is Phase.CHECKING:
                    urgent.append(Part(study=record.id, kind=Kind.CHECK, number=record.revision).id)
                elif record.phase is Phase.RUNNING:
                    rest.append(part.id for part in pending(folder, record))
                elif record.phase in (Phase.PAUSED, Phase.CANCELLED, Phase.COMPLETE):
                    rest.append(part.id for part in afterwards(folder, record))
                if record.phase is not Phase.CHECKING:
                    urgent += [part.id for part in new_versions(self._backend, folder)]
                    urgent += [Part(study=record.id, kind=Kind.MAPS, number=n).id for n in folder.asked_maps()]
        queue.add((part for part in urgent if part not in known), at_front=True)
        room = WINDOW - len(waiting)
        in_turn = (part for part in chain.from_iterable(zip_longest(*rest)) if part is not None and part not in known)
        queue.add(part for part, _ in zip(in_turn, range(room), strict=False))


def pending(folder: StudyFolder, record: StudyRecord) -> Iterator[Part]:
    """The parts of a running study that have not ended, in the order in which they are worth doing."""
    plan = folder.plan()
    if plan is None:
        return
    entries = folder.journal.read()
    ended = plan.ended(entries.outcomes)
    if tables_due(folder, entries, least_s=TABLES_EVERY_S if len(ended) < len(plan.rows) else 0.0):
        yield Part(study=record.id, kind=Kind.TABLES, number=record.revision)
    for number in plan.rows:
        if number not in ended:
            yield Part(study=record.id, kind=Kind.ROW, number=number)
    for first in uncompared(plan, ended, entries):
        yield Part(study=record.id, kind=Kind.SUBJECT, number=first)


def afterwards(folder: StudyFolder, record: StudyRecord) -> Iterator[Part]:
    """The parts of a study that does not run: after reviews and corrections, what depends on them."""
    plan = folder.plan()
    entries = folder.journal.read()
    if plan is None or not tables_due(folder, entries, least_s=REVIEWED_EVERY_S):
        return
    subjects = list(uncompared(plan, plan.ended(entries.outcomes), entries)) if record.phase is Phase.COMPLETE else []
    for first in subjects:
        yield Part(study=record.id, kind=Kind.SUBJECT, number=first)
    if not subjects:
        yield Part(study=record.id, kind=Kind.TABLES, number=record.revision)


def new_versions(backend: Backend, folder: StudyFolder) -> Iterator[Part]:
    """The rows of which a reader has corrected the outlines and that do not have the newest version yet."""
    plan, editing = folder.plan(), folder.editing()
    if plan is None or not editing:
        return
    newest = backend.store.newest_versions([edited.job for edited in editing.values()])
    outcomes = folder.journal.read().outcomes
    for row, edited in editing.items():
        if edited.job in newest and newest_version(backend, plan, edited, row, outcomes) is not None:
            yield Part(study=folder.id, kind=Kind.VERSION, number=row)


def newest_version(
    backend: Backend, plan: Plan, edited: EditedRow, row: int, outcomes: Mapping[int, Outcome]
) -> JobRecord | None:
    """The job of the newest complete version of the analysis of a row; None unless it is newer than that of the row.

    A version that was run again with other options than the row's does not count.
    """
    state, outcome = plan.state_of(row, outcomes)
    if outcome is None or state is not RowState.COMPLETE or not edited.is_of(outcome):
        return None
    family = backend.store.family(edited.job)
    usable = [item for item in family if item.status is Status.COMPLETE and item.options == edited.options]
    newest = max(usable, key=lambda item: item.version, default=None)
    return newest if newest is not None and newest.version > outcome.version else None


def uncompared(plan: Plan, ended: dict[int, Outcome], entries: Entries) -> Iterator[int]:
    """The subjects of which all rows have ended and whose visits were not compared since."""
    for first, rows in plan.subjects.items():
        if all(row in ended for row in rows) and entries.compared.get(first) != subject_fingerprint(rows, ended):
            yield first


def subject_fingerprint(rows: tuple[int, ...], ended: dict[int, Outcome]) -> str:
    """Of the analyses of a subject."""
    return hashlib.sha256(" ".join(ended[row].address for row in rows).encode()).hexdigest()[:12]


def tables_due(folder: StudyFolder, entries: Entries, *, least_s: float = 0.0) -> bool:
    """Whether the tables are older than journal or reviews, and may be written now. least_s: since the last time."""
    try:
        written = json.loads(folder.written.read_text(encoding="utf-8"))
        size, at, seconds = int(written["size"]), float(written["at"]), float(written["seconds"])
    except (OSError, ValueError, KeyError):
        return True
    same = size == entries.size and written.get("reviews", 0) == folder.reviews_size
    if same and written.get("revision") == folder.record().revision:
        return False
    return not least_s or time.time() - at > max(least_s, seconds / TABLES_SHARE)

"""The versions of an analysis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.state.backend import open_backend
from jobs.state.model import JobRecord, Status
from jobs.state.queue import queue_errors
from jobs.views.reading import not_found
from pipeline.edits import StructureEdit, structure_edits


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an analysis, also as REST answers it.

    id     of its job
    base   number of the version that it was made from; 0 for version 1
    way    how it was made: browser, label_map or restored; empty for version 1
    edits  what it changed, per structure
    review state, reason, at; null: not reviewed
    """

    id: str
    version: int
    base: int
    created_at: datetime | None
    expires_at: datetime | None
    status: Status
    way: str
    note: str
    initials: str
    edits: tuple[StructureEdit, ...]
    review: dict[str, str] | None


@queue_errors()
def versions(job_id: str) -> tuple[Version, ...]:
    """All versions of the analysis that a job belongs to, oldest first. Raises JobNotFound."""
    backend = open_backend()
    backend.storage.folder(job_id)
    record = backend.store.load(job_id)
    if record is None:
        raise not_found()
    return tuple(_version(item) for item in backend.store.family(record.family))


def _version(record: JobRecord) -> Version:
    try:
        edits = structure_edits(record.edits)
    except (KeyError, TypeError, ValueError):  # of a later program
        edits = ()
    return Version(
        id=record.id,
        version=record.version,
        base=record.base_version,
        created_at=record.created_at,
        expires_at=record.expires_at,
        status=record.status,
        way=record.way,
        note=record.note,
        initials=record.initials,
        edits=edits,
        review=dict(record.review) or None,
    )

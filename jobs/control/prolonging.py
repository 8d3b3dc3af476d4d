"""Keep results longer than their expiry time, within the limit of the operator."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.errors import JobConflict
from jobs.settings import load_settings
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, JobView, RecordChanges
from jobs.state.queue import queue_errors
from jobs.views.reading import get, not_found


@queue_errors()
def prolong(job_id: str) -> JobView:
    """Keep all versions of an analysis for RESULTS_EXPIRY_HOURS from now, each within LONGEST_EXPIRY_HOURS.

    Raises JobNotFound, JobConflict if none can be kept longer.
    """
    backend = open_backend()
    backend.storage.folder(job_id)
    record = backend.store.load(job_id)
    if record is None:
        raise not_found()
    kept = False
    for version in backend.store.family(record.family):
        changed, written = backend.store.change(version.id, _prolonged)
        if changed is not None and written:
            kept = True
            if not backend.storage.folder_is_missing(version.id):
                backend.storage.write_record(changed)
    if not kept:
        raise JobConflict(
            f"This analysis is already kept as long as the server allows ({load_settings().most_hours:g} h).",
            hint="Download the results.",
        )
    return get(job_id)


def longest_expiry(created_at: datetime | None, expires_at: datetime | None) -> datetime | None:
    """Until when a job can be kept if it is prolonged now; None: not longer than it already is."""
    settings = load_settings()
    if created_at is None or expires_at is None:
        return None
    limit = created_at + timedelta(hours=settings.most_hours)
    until = min(limit, now() + timedelta(hours=settings.results_expiry_hours))
    return until if until > expires_at else None


def _prolonged(record: JobRecord) -> RecordChanges | None:
    until = longest_expiry(record.created_at, record.expires_at)
    return None if until is None else {"expires_at": until}

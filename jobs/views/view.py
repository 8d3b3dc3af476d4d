"""Converts a record to the view for pages and routes."""

from __future__ import annotations

from jobs.state.clock import now
from jobs.state.faults import FaultKind
from jobs.state.model import JobRecord, JobView, Status
from jobs.state.store import Snapshot
from jobs.views.forecast import Forecast


def view(snapshot: Snapshot, forecast: Forecast) -> JobView:
    """The view of a job."""
    record = snapshot.record
    # a job that has left the queue but is not yet running is the next one
    position = (snapshot.position or 1) if record.status is Status.QUEUED else 0
    wait = forecast.wait_seconds(position) if record.status is Status.QUEUED else 0.0
    left = forecast.remaining_seconds(record) if record.status is Status.PROCESSING else 0.0
    return JobView(
        id=record.id,
        input_filename=record.input_filename,
        status=record.status,
        progress_percent=record.progress_percent,
        step_name=record.step_name,
        current_step=record.current_step,
        total_steps=record.total_steps,
        queue_position=position,
        estimated_wait_seconds=round(wait),
        estimated_remaining_seconds=round(left),
        elapsed_seconds=_elapsed(record),
        steps=tuple(record.steps),
        warnings=(*_waiting_for(record), *record.warnings),
        error_message=record.error_message or "",
        error_code=record.error_code or "",
        hint=record.hint,
        offers=record.offers,
        priority=record.priority,
        created_at=record.created_at,
        started_at=record.started_at,
        completed_at=record.completed_at,
        expires_at=record.expires_at,
        options=dict(record.options),
        result_size_bytes=record.result_size_bytes or 0,
        archive_name=record.archive_name,
        family=record.family,
        version=record.version,
        corrected=record.corrected,
        review=dict(record.review),
        owner=record.owner,
    )


def _waiting_for(record: JobRecord) -> tuple[str, ...]:
    """Why an interrupted job waits."""
    if record.status is not Status.QUEUED or not record.fault:
        return ()
    return (f"Interrupted by a fault of the server ({FaultKind(record.fault).words}); it continues when it is gone.",)


def _elapsed(record: JobRecord) -> int:
    end = record.completed_at if record.status.final else now()
    if record.started_at is None or end is None:
        return 0
    return max(0, round((end - record.started_at).total_seconds()))

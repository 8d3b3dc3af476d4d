"""Output of the operator's command line, as lines of text. No line shows an e-mail address or a path on the server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Final

from jobs.state.model import JobRecord, JobView
from jobs.state.workers import WorkerState


def job_lines(jobs: Iterable[JobView]) -> Iterable[str]:
    """One line per job."""
    yield f"{'job':36}  {'status':10}  {'created (UTC)':19}  {'done':>4}  step or reason"
    for job in jobs:
        created = f"{job.created_at:%Y-%m-%d %H:%M:%S}" if job.created_at else ""
        step = job.error_code or job.step_name
        yield f"{job.id:36}  {job.status:10}  {created:19}  {job.progress_percent:3}%  {step}"


def worker_lines(workers: Iterable[WorkerState]) -> Iterable[str]:
    """One line per live worker."""
    yield f"{'worker':32}  {'state':14}  {'job':36}  reason of the pause"
    for worker in workers:
        order = "paused" if worker.paused else "draining" if worker.drains else ""
        state = ", ".join(word for word in ("busy" if worker.job_id else "", order) if word) or "idle"
        yield f"{worker.name:32}  {state:14}  {worker.job_id:36}  {worker.paused}".rstrip()


REVIEW_COLUMNS: Final = ("job", "first_version", "version", "state", "reason", "at", "initials")


def review_rows(records: Iterable[JobRecord]) -> list[dict[str, object]]:
    """One row per reviewed version."""
    return [
        {
            "job": record.id,
            "first_version": record.family,
            "version": record.version,
            "state": record.review.get("state", ""),
            "reason": record.review.get("reason", ""),
            "at": record.review.get("at", ""),
            "initials": record.initials,
        }
        for record in records
        if record.review
    ]


def csv_lines(rows: Iterable[Mapping[str, object]]) -> Iterable[str]:
    """Rows of reviews as CSV, with a head."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, REVIEW_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().splitlines()


def facts_of(job: JobView) -> dict[str, object]:
    """A job as plain JSON values, times in ISO 8601."""
    return {
        **_plain_facts(job),
        "warnings": list(job.warnings),
        "options": dict(job.options),
        "steps": [asdict(step) for step in job.steps],
    }


def _plain_facts(job: JobView) -> dict[str, object]:
    return {
        "id": job.id,
        "status": str(job.status),
        "input_filename": job.input_filename,
        "created_at": _text(job.created_at),
        "started_at": _text(job.started_at),
        "completed_at": _text(job.completed_at),
        "expires_at": _text(job.expires_at),
        "priority": str(job.priority),
        "first_version": job.family,
        "version": job.version,
        "review": job.review.get("state", ""),
        "queue_position": job.queue_position,
        "progress_percent": job.progress_percent,
        "step_name": job.step_name,
        "elapsed_seconds": job.elapsed_seconds,
        "estimated_wait_seconds": job.estimated_wait_seconds,
        "estimated_remaining_seconds": job.estimated_remaining_seconds,
        "result_size_bytes": job.result_size_bytes,
        "error_code": job.error_code,
        "error_message": job.error_message,
        "hint": job.hint,
    }


def show_lines(job: JobView) -> Iterable[str]:
    """One job: its facts (without empty ones), options, warnings and steps."""
    yield from pair_lines({name: value for name, value in _plain_facts(job).items() if value not in (None, "")})
    yield "options               " + ", ".join(f"{name}={value}" for name, value in job.options.items())
    for warning in job.warnings:
        yield f"warning               {warning}"
    for step in job.steps:
        seconds = "" if step.seconds is None else f"{step.seconds:.1f} s"
        yield f"  {step.name:18}  {step.state:8}  {seconds:>8}  {step.reason}".rstrip()


def pair_lines(values: Mapping[str, object]) -> Iterable[str]:
    """One line per name and value."""
    width = max([20, *map(len, values)])
    return (f"{name:{width}}  {_words(value)}" for name, value in values.items())


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return str(value)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

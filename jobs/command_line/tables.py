"""What the operator's command line prints: lines for people. Nothing here shows an e-mail address or a server path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jobs.state.model import JobView


def job_lines(jobs: Iterable[JobView]) -> Iterable[str]:
    """One job a line."""
    yield f"{'job':36}  {'status':10}  {'created (UTC)':19}  {'done':>4}  step or reason"
    for job in jobs:
        created = f"{job.created_at:%Y-%m-%d %H:%M:%S}" if job.created_at else ""
        step = job.error_code or job.step_name
        yield f"{job.id:36}  {job.status:10}  {created:19}  {job.progress_percent:3}%  {step}"


def facts_of(job: JobView) -> dict[str, Any]:
    """A job as `show` tells of it: plain values, times in ISO 8601."""
    return {
        "id": job.id,
        "status": str(job.status),
        "input_filename": job.input_filename,
        "created_at": _text(job.created_at),
        "started_at": _text(job.started_at),
        "completed_at": _text(job.completed_at),
        "expires_at": _text(job.expires_at),
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
        "warnings": list(job.warnings),
        "options": dict(job.options),
        "steps": [dict(step) for step in job.steps],
    }


def show_lines(facts: Mapping[str, Any]) -> Iterable[str]:
    """A job's facts, without the empty ones, then its steps."""
    plain = {name: value for name, value in facts.items() if name not in ("steps", "options", "warnings")}
    yield from pair_lines({name: value for name, value in plain.items() if value not in (None, "")})
    yield "options               " + ", ".join(f"{name}={value}" for name, value in facts["options"].items())
    for warning in facts["warnings"]:
        yield f"warning               {warning}"
    for step in facts["steps"]:
        seconds = "" if step.get("seconds") is None else f"{step['seconds']:.1f} s"
        yield f"  {step.get('name', ''):18}  {step.get('state', ''):8}  {seconds:>8}  {step.get('reason', '')}".rstrip()


def pair_lines(values: Mapping[str, Any]) -> Iterable[str]:
    """Name and value."""
    width = max([20, *map(len, values)])
    return (f"{name:{width}}  {_words(value)}" for name, value in values.items())


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _text(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()

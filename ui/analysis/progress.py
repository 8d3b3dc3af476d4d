"""A queued or running job: place in the queue, steps with seconds, remaining time. Polls until the job ends."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from jobs import service
from jobs.errors import JobConflict, JobNotFound
from jobs.state.model import JobView, Status
from pipeline.errors import KneeError
from pipeline.progress import StepState
from ui.parts import wording
from ui.parts.messages import escape as markdown
from ui.parts.messages import show_error, show_unreachable

POLL_S: Final = 1.0
QUICK_POLL_S: Final = 0.4
"""Of a version with corrected outlines, which takes some seconds."""

NO_WORKER: Final = ":material/hourglass_disabled:"


def follow(job: JobView) -> None:
    """Redraw the job every second, a corrected version more often. When it ends, rerun the page."""
    (_follow_closely if job.corrected else _follow)(job.id)


@st.fragment(run_every=POLL_S)
def _follow(job_id: str) -> None:
    _redraw(job_id)


@st.fragment(run_every=QUICK_POLL_S)
def _follow_closely(job_id: str) -> None:
    _redraw(job_id)


def _redraw(job_id: str) -> None:
    """When the job has ended, rerun the page, which then no longer polls."""
    try:
        job = service.get(job_id)
    except JobNotFound:
        st.rerun()
    except KneeError as error:
        show_unreachable(error)
        return
    if job.status.final:
        st.rerun()
    _draw(job)


def steps_list(job: JobView) -> str:
    """The steps as an HTML list: state, title, seconds, and the reason where one was skipped or failed."""
    lines = []
    for step in job.steps:
        note = step.state if step.state is StepState.SKIPPED else wording.step_seconds(step.seconds)
        reason = f'<span class="reason">{escape(step.reason)}</span>' if step.reason else ""
        state = step.state.value
        lines.append(
            f'<li class="{state}"><span class="mark" role="img" aria-label="{state}"></span>'
            f'<span class="title">{escape(step.title)}</span><span class="time">{note}</span>{reason}</li>'
        )
    return f'<ol class="ok-steps">{"".join(lines)}</ol>'


def _draw(job: JobView) -> None:
    if job.status is Status.QUEUED:
        health = service.health()
        missing = health.worker != "available"
        st.progress(0, text=_queue_text(job, awaited=missing or bool(health.paused)))
        if missing:
            st.warning("No worker is running on this server. The operator must start one.", icon=NO_WORKER)
        elif health.paused:
            st.warning(markdown(f"This server is {health.paused}."), icon=NO_WORKER)
        st.html(
            '<p class="ok-quiet">The analysis starts automatically. You can close this page and '
            "return to its address later.</p>"
        )
    else:
        st.progress(min(100, job.progress_percent) / 100, text=running_text(job))
        if job.steps:
            with st.container(border=True):
                st.html(steps_list(job))
        st.html('<p class="ok-quiet">You can close this page and return to its address later.</p>')
    if service.may_change_job(job.id) and st.button("Cancel analysis", icon=":material/close:", key="cancel"):
        _cancel(job.id)


def _queue_text(job: JobView, *, awaited: bool) -> str:
    """Place and estimated time; no time while no worker is running (`awaited`)."""
    if awaited:
        return f"Number {max(1, job.queue_position)} in the queue. Starts when a worker is running."
    if job.queue_position <= 1:
        return "Next in the queue."
    wait = wording.duration(job.estimated_wait_seconds)
    return f"Number {job.queue_position} in the queue. Starts in about {wait}."


def running_text(job: JobView) -> str:
    """Progress of a running job, in one line."""
    parts = [f"{job.progress_percent} %"]
    if job.step_name and job.total_steps:
        parts.append(f"step {job.current_step} of {job.total_steps}: {job.step_name}")
    elif job.step_name:  # started, but the worker has not listed its steps yet
        parts.append(job.step_name)
    if job.estimated_remaining_seconds:
        parts.append(f"about {wording.duration(job.estimated_remaining_seconds)} left")
    elif job.elapsed_seconds:
        parts.append(f"{wording.duration(job.elapsed_seconds)} so far")
    return "  ·  ".join(parts)


def _cancel(job_id: str) -> None:
    try:
        service.cancel(job_id)
    except JobConflict:
        st.rerun()  # it ended in the meantime
    except KneeError as error:
        show_error(error)
        return
    st.rerun()

"""The analyses of this browser: state and actions of each. Refreshed while an analysis is queued or running."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape as html_escape
from typing import Final, Literal

import streamlit as st

from jobs import service
from jobs.errors import JobNotFound
from jobs.state.model import CANCELLED, JobView, Status
from pipeline.errors import KneeError
from pipeline.review_state import ReviewState
from ui.parts import session, wording
from ui.parts.frame import ANALYSIS, HOME
from ui.parts.messages import escape, show_error, show_unreachable

POLL_S: Final = 2.0
SHOWN: Final = 30
"""Analyses shown at first; a button shows the others."""

Badge = tuple[Literal["gray", "blue", "green", "red"], str]
"""Colour and icon."""

BADGES: Final[dict[Status, Badge]] = {
    Status.QUEUED: ("gray", ":material/hourglass_empty:"),
    Status.PROCESSING: ("blue", ":material/sync:"),
    Status.COMPLETE: ("green", ":material/check:"),
    Status.ERROR: ("red", ":material/error:"),
}
CANCELLED_BADGE: Final[Badge] = ("gray", ":material/block:")


def show_job_list() -> None:
    """The list, as soon as the browser has sent its job IDs."""
    ids = session.started()
    if ids is None:
        st.html('<p class="ok-quiet" role="status">Loading the list of this browser …</p>')
        return
    more = st.session_state.get("more_jobs", False)
    shown = ids if more else ids[:SHOWN]
    jobs = _found(shown)
    if not jobs:
        words = "belongs to you" if service.viewer().person else "was started or opened in this browser"
        st.info(f"No analysis {words} yet.", icon=":material/inbox:")
        st.page_link(HOME.path, label="Start a new analysis", icon=HOME.icon)
        return
    if any(not job.status.final for job in jobs):
        _live(shown)
    else:
        _draw(jobs)
    if len(ids) > len(shown) and st.button(f"Show {len(ids) - len(shown)} more"):
        st.session_state["more_jobs"] = True
        st.rerun()


@st.fragment(run_every=POLL_S)
def _live(ids: list[str]) -> None:
    """Redraw the list every two seconds. When all jobs have ended, rerun the page, which then no longer polls."""
    try:
        jobs = _found(ids)
    except KneeError as error:
        show_unreachable(error)
        return
    if all(job.status.final for job in jobs):
        st.rerun()
    _draw(jobs)


def _found(ids: list[str]) -> list[JobView]:
    """The jobs that exist, of each analysis its newest version; the others are removed from the list."""
    jobs: dict[str, JobView] = {}
    for job_id in ids:
        try:
            job = service.get(job_id)
            if job.family not in jobs:
                jobs[job.family] = _newest_of(job)
        except JobNotFound:
            session.forget(job_id)
    return list(jobs.values())


def _newest_of(job: JobView) -> JobView:
    newest = service.versions(job.id)[-1]
    return job if newest.id == job.id else service.get(newest.id)


def _draw(jobs: list[JobView]) -> None:
    for job in jobs:
        _draw_line(job)


def _draw_line(job: JobView) -> None:
    with st.container(
        border=True,
        horizontal=True,
        vertical_alignment="center",
        horizontal_alignment="distribute",
        key=f"line-{job.id}",
    ):
        with st.container(width="content", gap=None):
            st.html(f'<p class="ok-name">{html_escape(job.input_filename)}</p><p class="ok-quiet">{_facts(job)}</p>')
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
            colour, icon = CANCELLED_BADGE if job.error_code == CANCELLED else BADGES[job.status]
            label = job.state_words
            if job.status is Status.PROCESSING:
                label = f"{label}, {job.progress_percent} %"
            st.badge(label, color=colour, icon=icon)
            st.page_link(ANALYSIS.path, label="Open", query_params={"job": job.id}, icon=":material/arrow_forward:")
            _actions(job)


def _facts(job: JobView) -> str:
    now = datetime.now(UTC)
    number = len(service.versions(job.id)) if job.corrected else 1
    facts = [wording.age(job.created_at, now)]
    if number > 1:
        facts.append(f"{number} versions, newest: {job.version}")
    if (state := job.review.get("state", "")) in tuple(ReviewState):
        facts.append(" ".join([ReviewState(state).words, f"({job.review['reason']})" * bool(job.review.get("reason"))]))
    if job.status is Status.QUEUED:
        facts.append(f"number {job.queue_position} in the queue")
    elif job.status is Status.PROCESSING and job.estimated_remaining_seconds:
        facts.append(f"about {wording.duration(job.estimated_remaining_seconds)} left")
    elif job.status is Status.ERROR and job.error_code != CANCELLED:
        facts.append(job.error_message.split(". ")[0].rstrip("."))
    if left := wording.time_left(job.expires_at, now):
        facts.append(f"deleted {left}")
    return " · ".join(html_escape(fact) for fact in facts if fact)


def _actions(job: JobView) -> None:
    if not service.may_change_job(job.id):
        return
    if not job.status.final:
        if _button("Cancel", ":material/close:", job.id):
            _try(service.cancel, job.id)
        return
    if job.status is Status.ERROR and service.can_retry(job.id) and _button("Try again", ":material/replay:", job.id):
        _try(service.retry, job.id)
    if _button("Delete", ":material/delete:", job.id):
        confirm_delete(job)


def _button(title: str, icon: str, job_id: str) -> bool:
    return st.button(title, key=f"{title}-{job_id}", icon=icon, type="tertiary")


def _try(action: Callable[[str], object], job_id: str) -> None:
    """Run an action, then the page again, which shows the new state of the job."""
    try:
        action(job_id)
    except KneeError as error:
        show_error(error)
        return
    st.rerun()


@st.dialog("Delete this analysis?")
def confirm_delete(job: JobView) -> None:
    """Ask before results are deleted permanently."""
    st.write(
        f"**{escape(job.input_filename)}**: its scan, results and record will be permanently deleted from this server."
    )
    versions = service.versions(job.id)
    if len(versions) > 1:
        st.write(f"It has {len(versions)} versions.")
    with st.container(horizontal=True):
        every = len(versions) > 1 and st.button("Delete all versions", type="primary", icon=":material/delete:")
        title = f"Delete version {job.version}" if len(versions) > 1 else "Delete"
        if st.button(title, type="secondary" if len(versions) > 1 else "primary", icon=":material/delete:") or every:
            try:
                (service.delete_versions if every else service.delete)(job.id)
            except JobNotFound:
                pass  # already deleted
            except KneeError as error:
                show_error(error)
                return
            for version in versions if every else ():
                session.forget(version.id)
            session.forget(job.id)
            st.rerun()
        if st.button("Keep"):
            st.rerun()

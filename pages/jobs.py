"""The analyses this browser session started, and the way to any other by its address."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from jobs import service
from jobs.errors import JobNotFound
from jobs.model import CANCELLED, JobView, Status
from pipeline.errors import KneeError
from ui import session, wording
from ui.frame import ANALYSIS, HOME, end_page, narrow, start_page
from ui.messages import ask_for_address, escape, show_unreachable

BADGES = {
    Status.QUEUED: ("Waiting", "gray", ":material/hourglass_empty:"),
    Status.PROCESSING: ("Running", "blue", ":material/sync:"),
    Status.COMPLETE: ("Done", "green", ":material/check:"),
    Status.ERROR: ("Failed", "red", ":material/error:"),
}


def show_line(job: JobView) -> None:
    """One job: name, state, age, and the link to its page."""
    label, colour, icon = BADGES[job.status]
    if job.error_code == CANCELLED:
        label, colour, icon = "Cancelled", "gray", ":material/block:"
    now = datetime.now(UTC)
    facts = [wording.age(job.created_at, now)]
    if left := wording.time_left(job.expires_at, now):
        facts.append(f"deleted {left}")
    with st.container(border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="content", gap=None):
            st.markdown(f"**{escape(job.input_filename)}**")
            st.html(f'<p class="ok-quiet">{" · ".join(fact for fact in facts if fact)}</p>')
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            st.badge(label, color=colour, icon=icon)
            st.page_link(ANALYSIS.path, label="Open", query_params={"job": job.id}, icon=":material/arrow_forward:")


def show_started() -> None:
    """Jobs of the session, the newest first; those that are gone leave the list."""
    if not session.started():
        st.info("Nothing started in this session yet.", icon=":material/inbox:")
        st.page_link(HOME.path, label="Start a new analysis", icon=HOME.icon)
    for job_id in session.started():
        try:
            show_line(service.get(job_id))
        except JobNotFound:
            session.forget(job_id)


start_page("My analyses")
with narrow():
    st.title("My analyses")
    try:
        show_started()
    except KneeError as error:
        show_unreachable(error)
    st.subheader("Open another analysis")
    ask_for_address()
    end_page()

"""Which two analyses are compared: chosen from this browser's list, or given by their addresses."""

from __future__ import annotations

from typing import Final

import streamlit as st

from jobs import service
from jobs.errors import JobNotFound
from jobs.state.model import JobView, Status
from ui.parts import session, wording
from ui.parts.frame import HOME

MOST: Final = 30
"""Analyses of this browser that are offered, the newest first."""


def id_in(text: str) -> str:
    """The job id in an address, or the text itself where it is an id already."""
    return text.strip().rsplit("job=", 1)[-1].split("&", 1)[0]


def finished() -> dict[str, JobView]:
    """Analyses on this browser's list that can be compared, by id, the newest first."""
    found = {}
    for job_id in (session.started() or [])[:MOST]:
        try:
            job = service.get(job_id)
        except JobNotFound:
            session.forget(job_id)
            continue
        if job.status is Status.COMPLETE:
            found[job_id] = job
    return found


def known(job_id: str) -> JobView | None:
    """A job by its id; None for an id that is empty or names none."""
    try:
        return service.get(job_id) if job_id else None
    except JobNotFound:
        return None


def label(job_id: str, jobs: dict[str, JobView]) -> str:
    """`knee.nii.gz, version 2 · 24 Nov 2026, 17:03`; the id where the analysis is not on this browser's list."""
    job = jobs.get(job_id)
    if job is None:
        return job_id
    return f"{wording.analysis_name(job.input_filename, job.version)} · {wording.date(job.completed_at)}"


def choose(first: str, second: str) -> None:
    """Two fields and two buttons; what they say goes into the page's address."""
    jobs = finished() | {job_id: job for job_id in (first, second) if (job := known(job_id)) is not None}
    ids = list(dict.fromkeys([*jobs, *(job_id for job_id in (first, second) if job_id)]))
    if not jobs and not (first and second):
        st.info(
            "Compare two time points of one knee, or left against right. No finished analysis is on this browser's "
            "list yet: start two, or paste the addresses of two analyses.",
            icon=":material/compare_arrows:",
        )
        st.page_link(HOME.path, label="Start a new analysis", icon=HOME.icon)
    with st.form("choice", border=False):
        left, right = st.columns(2)
        chosen = [
            column.selectbox(
                title,
                ids,
                index=ids.index(value) if value else None,
                format_func=lambda job_id: label(job_id, jobs),
                placeholder="Choose one, or paste its address",
                accept_new_options=True,
                help="The earlier scan, or one side." if title == "First analysis" else "The later scan, or the other.",
            )
            for column, title, value in ((left, "First analysis", first), (right, "Second analysis", second))
        ]
        with st.container(horizontal=True):
            compare = st.form_submit_button("Compare", type="primary", icon=":material/compare_arrows:")
            swap = st.form_submit_button("Swap", icon=":material/swap_horiz:")
    if compare or swap:
        a, b = (id_in(value or "") for value in (reversed(chosen) if swap else chosen))
        st.query_params.from_dict({key: value for key, value in (("a", a), ("b", b)) if value})
        st.rerun()

"""A job that ended without a result: the reason, and the ways to run it again."""

from __future__ import annotations

from typing import Final

import streamlit as st

from jobs import service
from jobs.errors import JobConflict
from jobs.state.model import CANCELLED, JobView, Status
from pipeline.options import AS_STATED
from pipeline.progress import StepState
from ui.analysis.progress import steps_list
from ui.parts import session
from ui.parts.frame import ANALYSIS, HOME
from ui.parts.messages import show_error, show_failure

Options = dict[str, str]

RETRY_TITLES: Final = {"knee": "Analyse knee {value}", "turn": "Analyse it turned"}
"""Option -> title of the button that runs a failed job again with an offered value."""


def show_failed(job: JobView) -> None:
    """A job that ended without a result: reason, completed steps, and retry."""
    if job.error_code == CANCELLED:
        st.info("This analysis was cancelled.", icon=":material/block:")
    else:
        show_failure(job.error_message, job.hint)
    if any(step.state is not StepState.WAITING for step in job.steps):
        with st.expander("Completed steps"):
            st.html(steps_list(job))
    mine = service.may_change_job(job.id)
    again = mine and service.can_retry(job.id)
    if mine and not again:
        st.html('<p class="ok-quiet">Its scan is no longer on this server. To try again, upload it again.</p>')
    with st.container(horizontal=True, vertical_alignment="center"):
        for title, runs in _ways_to_retry(job) if again else ():
            if st.button(title, type="primary", icon=":material/replay:"):
                _run_again(job.id, runs)
        st.page_link(HOME.path, label="Start a new analysis", icon=HOME.icon)
        if (before := _version_before(job)) is not None:
            st.page_link(
                ANALYSIS.path, label="Open the version before", query_params={"job": before}, icon=ANALYSIS.icon
            )
    st.html(f'<p class="ok-quiet">{job.error_code} · job {job.id}</p>')


def _version_before(job: JobView) -> str | None:
    """Id of the newest earlier version that is complete; None if there is none."""
    found = [v.id for v in service.versions(job.id) if v.version < job.version and v.status is Status.COMPLETE]
    return found[-1] if found else None


def _ways_to_retry(job: JobView) -> list[tuple[str, list[Options]]]:
    """Title of a button, and the options that it changes: for this job, and for another job each."""
    offered = [(option, value) for option, values in job.offers.items() for value in values]
    ways = [(RETRY_TITLES.get(option, value).format(value=value), [{option: value}]) for option, value in offered]
    if len(knees := job.offers.get("knee", [])) > 1:
        ways.append(("Analyse both knees", [{"knee": knee} for knee in knees]))
    if "turn" in job.offers:
        ways.append(("Analyse it as the header states", [{"turn": AS_STATED}]))
    return ways or [("Try again", [{}])]


def _run_again(job_id: str, runs: list[Options]) -> None:
    try:
        for options in runs[1:]:  # before this job runs again: only an ended one can be copied
            session.remember(service.copy(job_id, options).id)
        service.retry(job_id, runs[0])
    except JobConflict as error:
        show_error(error)
        return
    if runs[1:]:
        st.toast("The other knee is a separate analysis, in the list of analyses.", icon=":material/list:")
    st.rerun()

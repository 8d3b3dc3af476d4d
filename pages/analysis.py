"""One analysis, by its address (?job=ID): queued, running, complete or failed."""

from __future__ import annotations

import streamlit as st

from jobs import service
from jobs.errors import JobConflict, QueueUnavailable
from jobs.state.model import CANCELLED, JobView, Status
from pipeline.errors import KneeError, TwoKnees
from pipeline.progress import StepState
from ui.analysis.progress import follow, steps_list
from ui.analysis.results import show_results
from ui.parts import session
from ui.parts.frame import HOME, end_page, start_page
from ui.parts.messages import ask_for_address, await_queue, escape, show_error, show_failure, show_unreachable


def show_failed(job: JobView) -> None:
    """A job that ended without a result: reason, completed steps, and retry."""
    if job.error_code == CANCELLED:
        st.info("This analysis was cancelled.", icon=":material/block:")
    else:
        show_failure(job.error_message, job.hint)
    if any(step.state is not StepState.WAITING for step in job.steps):
        with st.expander("Completed steps"):
            st.html(steps_list(job))
    again = service.can_retry(job.id)
    if not again:
        st.html('<p class="ok-quiet">Its scan is no longer on this server. To try again, upload it again.</p>')
    with st.container(horizontal=True, vertical_alignment="center"):
        for title, options in _ways_to_retry(job) if again else ():
            if st.button(title, type="primary", icon=":material/replay:"):
                try:
                    service.retry(job.id, options)
                    st.rerun()
                except JobConflict as error:
                    show_error(error)
        st.page_link(HOME.path, label="Start a new analysis", icon=HOME.icon)
    st.html(f'<p class="ok-quiet">{job.error_code} · job {job.id}</p>')


def _ways_to_retry(job: JobView) -> list[tuple[str, dict[str, str]]]:
    """Title of a button, and the options that it changes."""
    if job.error_code == TwoKnees("").code:
        return [
            ("Analyse knee 1 (patient's right)", {"knee": "1"}),
            ("Analyse knee 2 (patient's left)", {"knee": "2"}),
        ]
    return [("Try again", {})]


def show_job(job: JobView) -> None:
    """The job, according to its state."""
    st.title(escape(job.input_filename))
    session.remember(job.id)
    if not job.status.final:
        follow(job.id)
    elif job.status is Status.COMPLETE:
        show_results(job)
    else:
        show_failed(job)


start_page("Analysis")
job_id = st.query_params.get("job", "")
try:
    if job_id:
        show_job(service.get(job_id))
    else:
        st.title("Open an analysis")
        ask_for_address()
except QueueUnavailable:
    st.title("Analysis")
    await_queue()
except KneeError as error:
    show_unreachable(error)
end_page()

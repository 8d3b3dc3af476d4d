"""One analysis, by its address (?job=ID): queued, running, complete or failed."""

from __future__ import annotations

import streamlit as st

from jobs import service
from jobs.errors import QueueUnavailable
from jobs.state.model import JobView, Status
from pipeline.errors import KneeError
from ui.analysis.failed import show_failed
from ui.analysis.progress import follow
from ui.analysis.results import show_results
from ui.parts import session
from ui.parts.addresses import STUDY
from ui.parts.frame import STUDIES, Visitors, end_page, start_page
from ui.parts.messages import ask_for_address, await_queue, escape, show_unreachable
from ui.parts.sharing import show_sharing_of_job


def show_job(job: JobView) -> None:
    """The job, according to its state."""
    st.title(escape(job.input_filename))
    if study := st.query_params.get(STUDY, ""):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(STUDIES.path, label="Back to the study", query_params={"study": study}, icon=STUDIES.icon)
            st.html('<p class="ok-quiet">The row of the study follows the newest version.</p>')
    session.remember(job.id)
    show_sharing_of_job(job)
    if not job.status.final:
        follow(job)
    elif job.status is Status.COMPLETE:
        show_results(job)
    else:
        show_failed(job)


start_page("Analysis", Visitors.SHOWN)
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

"""Studies: many scans from one manifest. One by its address (?study=ID), else the list and the form for a new one."""

from __future__ import annotations

import streamlit as st

from jobs.errors import QueueUnavailable, StudyNotFound
from pipeline.errors import KneeError
from ui.parts.frame import STUDIES, Visitors, end_page, start_page
from ui.parts.messages import await_queue, show_error
from ui.studies.new_study import show_form
from ui.studies.study import show_study
from ui.studies.study_list import show_list

start_page("Studies", Visitors.SHOWN)
study_id = st.query_params.get("study", "")
try:
    if study_id:
        show_study(study_id)
    else:
        st.title("Studies")
        st.html('<p class="ok-lead">Many scans, analysed with the same options, in common tables.</p>')
        show_list()
        show_form()
except StudyNotFound:
    st.title("No such study")
    st.html('<p class="ok-lead">There is no study at this address. It may have been deleted.</p>')
    st.page_link(STUDIES.path, label="All studies", icon=STUDIES.icon)
except QueueUnavailable:
    await_queue()
except KneeError as error:
    show_error(error)
end_page()

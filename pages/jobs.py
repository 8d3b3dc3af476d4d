"""The analyses that this browser started or opened, and a field to open another by its address."""

from __future__ import annotations

import streamlit as st

from jobs.errors import QueueUnavailable
from pipeline.errors import KneeError
from ui.jobs.job_list import show_job_list
from ui.parts.frame import end_page, narrow, start_page
from ui.parts.messages import ask_for_address, await_queue, show_unreachable

start_page("My analyses")
with narrow():
    st.title("My analyses")
    try:
        show_job_list()
    except QueueUnavailable:
        await_queue()
    except KneeError as error:
        show_unreachable(error)
    st.subheader("Open another analysis")
    ask_for_address()
    end_page()

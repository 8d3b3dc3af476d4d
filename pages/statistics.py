"""Usage and state of this server."""

from __future__ import annotations

import streamlit as st

from jobs import service
from pipeline.errors import KneeError
from ui.parts.frame import end_page, narrow, start_page
from ui.parts.messages import show_unreachable
from ui.statistics.activity import show_history, show_now

start_page("Statistics")
with narrow():
    st.title("Statistics")
    st.subheader("Current state")
    show_now()
    st.subheader("Totals")
    try:
        show_history(service.stats(), service.activity())
    except KneeError as error:
        show_unreachable(error)
    end_page()

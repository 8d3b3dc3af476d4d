"""A page with only the slice viewer in its edit mode, and the id of the version that was saved last."""

from __future__ import annotations

import streamlit as st

from ui.viewers.slices import Editing, show_slices

st.set_page_config(page_title="Edit", layout="wide")
st.title("Edit")
saved = show_slices("/api/jobs/bench/view", "slices", editing=Editing(job="bench", version=1, newest=1))
if saved:
    st.session_state["saved"] = saved
st.write("Saved:", st.session_state.get("saved", "nothing"))

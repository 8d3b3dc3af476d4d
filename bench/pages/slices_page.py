"""A page with only the slice viewer, and a button that reruns it."""

from __future__ import annotations

import streamlit as st

from ui.viewers.slices import show_slices

st.set_page_config(page_title="Slices", layout="wide")
st.title("Slices")
show_slices("/api/jobs/bench/view", "slices")
st.button("Run again")
st.write("Runs:", st.session_state.setdefault("runs", 0) + 1)
st.session_state["runs"] += 1

"""A page with only the 3D viewer, a button that reruns it, and a fragment that reruns periodically."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.viewers.scene import show_scene

st.set_page_config(page_title="3D", layout="wide")
st.title("3D")
picture = Path(__file__).resolve().parent.parent.parent / "docs" / "analysis.png"
show_scene("/api/jobs/bench/view/scene.bin", "scene", fallback=picture)
st.button("Run again")
st.write("Runs:", st.session_state.setdefault("runs", 0) + 1)
st.session_state["runs"] += 1


@st.fragment(run_every=0.5)
def tick() -> None:
    """Rerun like a page that follows a job."""
    st.session_state["ticks"] = st.session_state.get("ticks", 0) + 1
    st.write("Ticks:", st.session_state["ticks"])


if "poll" in st.query_params:
    tick()

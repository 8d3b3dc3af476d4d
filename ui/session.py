"""Which analyses this browser session started: ids only, the jobs themselves are asked from the service."""

from __future__ import annotations

import streamlit as st

_KEY = "started_jobs"


def remember(job_id: str) -> None:
    """Put a job at the top of this session's list."""
    st.session_state[_KEY] = [job_id, *(known for known in started() if known != job_id)]


def forget(job_id: str) -> None:
    """Take a job off this session's list."""
    st.session_state[_KEY] = [known for known in started() if known != job_id]


def started() -> list[str]:
    """Job ids, the newest first."""
    return list(st.session_state.get(_KEY, ()))

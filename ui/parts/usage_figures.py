"""How much this server has analysed: four figures, on the home page and under Statistics."""

from __future__ import annotations

import streamlit as st

from jobs.service import Stats
from ui.parts import wording


def show_usage(stats: Stats) -> None:
    """The answer of /stats as four figures."""
    average = wording.duration(stats.average_processing_time_seconds)
    figures = (
        ("Analyses so far", f"{stats.total_jobs_processed:,}"),
        ("Today", f"{stats.total_jobs_today:,}"),
        ("Average time", average if stats.total_jobs_processed else "–"),
        ("In the queue", f"{stats.jobs_in_queue:,}"),
    )
    with st.container(horizontal=True, key="statistics"):
        for title, value in figures:
            st.metric(title, value, width=130)

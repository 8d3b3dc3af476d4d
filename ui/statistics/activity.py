"""State and usage of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from jobs import service
from jobs.state.model import Status
from pipeline.errors import KneeError
from ui.parts import wording
from ui.parts.charts import CONFIG
from ui.parts.components import mount
from ui.parts.messages import listed, show_unreachable
from ui.parts.usage_figures import show_usage
from ui.statistics.activity_charts import jobs_per_day, step_times

EVERY_MS: Final = 10_000
_NUMBER = st.column_config.NumberColumn


@st.fragment
def show_now() -> None:
    """Queue, worker and disk, updated every ten seconds while the page is visible."""
    mount("pulse", key="pulse", data={"everyMs": EVERY_MS}, default={"tick": 0}, on_tick_change=lambda: None)
    try:
        health, activity = service.health(), service.activity()
    except KneeError as error:
        show_unreachable(error)
        return
    workers = activity.workers
    with st.container(horizontal=True, key="figures"):
        st.metric(Status.QUEUED.words, f"{activity.waiting:,}", border=True)
        st.metric(Status.PROCESSING.words, f"{activity.running:,}", border=True)
        st.metric(
            "Workers", f"{workers:,}" if workers else "none", border=True, help="With a heartbeat in the last 15 s."
        )
        st.metric("Free disk", wording.size(health.disk_free_bytes), border=True)
    if health.problems:
        st.warning(f"**Action needed by the operator**\n\n{listed(health.problems)}", icon=":material/build:")
    else:
        st.success("Queue, worker, disk and models are OK.", icon=":material/check:")


def show_history(stats: service.Stats, activity: service.Activity) -> None:
    """Totals, analyses per day, and times by model and step; each chart with its table."""
    show_usage(stats)
    st.html(
        f'<p class="ok-quiet">Users who left an e-mail address: {stats.unique_users:,}. Server up for '
        f"{wording.duration(stats.uptime_hours * 3600)}.</p>"
    )
    if not any(day.jobs for day in activity.days) and not activity.models:
        st.info("No analysis was run on this server in the last 30 days.", icon=":material/bar_chart:")
        return
    st.subheader("Analyses per day")
    st.plotly_chart(jobs_per_day(activity.days), config=CONFIG, key="days")
    with st.expander("As a table"):
        days = [{"Day (UTC)": day.day.isoformat(), "Analyses": day.jobs} for day in reversed(activity.days)]
        st.dataframe(days, hide_index=True, width="content", height=320, alt="Analyses per day")
    if activity.models:
        st.subheader("Time by model and step")
        st.plotly_chart(step_times(activity.models), config=CONFIG, key="times")
        st.html('<p class="ok-quiet">Medians of the last 50 analyses with each model.</p>')
        with st.expander("As a table"):
            _show_times(activity.models)


def _show_times(models: Sequence[service.ModelTimes]) -> None:
    lines = [
        {"Model": model.title, "Step": wording.name(name), "Seconds": seconds}
        for model in models
        for name, seconds in [*((step.name, step.seconds) for step in model.steps), ("all_steps", model.seconds)]
    ]
    columns = {"Seconds": _NUMBER("Seconds (median)", format="%.1f")}
    st.dataframe(lines, hide_index=True, width="content", height=400, alt="Time by step", column_config=columns)

"""When a study is deleted, and how to change that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from jobs import service
from jobs.settings import load_settings
from pipeline.errors import KneeError
from ui.parts import wording
from ui.parts.messages import show_error


def ask_for_days() -> float:
    """Days after which a new study is deleted; 0: not stated."""
    limit = load_settings().study_expiry_days
    days = st.number_input(
        "Delete after days",
        min_value=0,
        max_value=int(limit) or 36_600,
        value=0,
        width=220,
        help=f"0: after {limit:g} days, the limit of this server." if limit else "0: it is kept until it is deleted.",
    )
    return float(days)


def retention_text(study: service.studies.StudyView) -> str:
    """`deleted in 3 days`, or that it is kept."""
    left = wording.time_left(study.expires_at, datetime.now(UTC))
    return f"deleted {left}" if left else "kept until it is deleted"


def offer_retention(study: service.studies.StudyView) -> None:
    """A button that asks for another time."""
    if st.button("Retention", icon=":material/timer:", type="tertiary"):
        _ask(study)


@st.dialog("When is this study deleted?")
def _ask(study: service.studies.StudyView) -> None:
    limit = load_settings().study_expiry_days
    now = datetime.now(UTC)
    st.write(f"At present: {retention_text(study)}. Its tables, rows and uploaded scans are deleted with it.")
    if limit:
        latest = study.created_at + timedelta(days=limit)
        st.write(f"This server keeps studies for at most {limit:g} days: this one until {wording.date(latest)}.")
    before = 0 if study.expires_at is None else max(0, round((study.expires_at - now) / timedelta(days=1)))
    days = st.number_input("Days from now", min_value=0, max_value=36_600, value=before, help="0: not stated.")
    if not st.button("Save", type="primary"):
        return
    try:
        service.studies.set_expiry(study.id, float(days))
    except KneeError as error:
        show_error(error)
        return
    st.rerun()

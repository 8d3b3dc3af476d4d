"""Messages: errors, unknown and expired jobs, a queue that is not responding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from jobs import service
from jobs.errors import JobNotFound, QueueUnavailable
from pipeline.errors import KneeError
from ui.parts.frame import HOME, open_analysis

AWAY_POLL_S: Final = 5.0
ADDRESS_LABEL: Final = "Address or job ID of an analysis"


def escape(text: str) -> str:
    """Text of a file name or message, safe inside Markdown: nothing in it is formatting."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|<>~$:" else c for c in text)


def listed(notes: Sequence[str]) -> str:
    """Notes as Markdown: a sentence where there is one, a list where there are more."""
    return escape(notes[0]) if len(notes) == 1 else "\n".join(f"- {escape(note)}" for note in notes)


def show_error(error: KneeError) -> None:
    """What went wrong, and what to do about it."""
    show_failure(error.message, error.hint)


def show_failure(message: str, hint: str = "") -> None:
    """A failure's message with the hint as a separate paragraph."""
    text = escape(message or "The analysis failed.")
    st.error(f"{text}\n\n{escape(hint)}" if hint else text, icon=":material/error:")


def show_unreachable(error: KneeError) -> None:
    """A job that cannot be shown: it is unknown (never existed, deleted, expired), or Redis is not responding."""
    if isinstance(error, QueueUnavailable):
        st.warning(
            "The job queue is not responding. Analyses that were started are not lost.",
            icon=":material/cloud_off:",
        )
        return
    if not isinstance(error, JobNotFound):
        show_error(error)
        return
    st.title("No such analysis")
    st.html('<p class="ok-lead">There is no analysis at this address. It may have expired or been deleted.</p>')
    ask_for_address()
    st.page_link(HOME.path, label="Start a new analysis", icon=HOME.icon)


@st.fragment(run_every=AWAY_POLL_S)
def await_queue() -> None:
    """Say that the queue is not responding, ask it every few seconds, and rerun the page when it responds."""
    try:
        service.stats()
    except QueueUnavailable as error:
        show_unreachable(error)
        st.html('<p class="ok-quiet">This page retries automatically.</p>')
        return
    st.rerun()


def ask_for_address() -> None:
    """A field for the address of an analysis; opens it when submitted."""
    with st.form("address", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        typed = left.text_input(ADDRESS_LABEL, placeholder="https://.../analysis?job=...")
        if right.form_submit_button("Open", width="stretch") and typed.strip():
            open_analysis(typed.strip().rsplit("job=", 1)[-1].split("&", 1)[0])

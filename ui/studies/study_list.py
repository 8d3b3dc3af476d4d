"""The studies of this server, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final

import streamlit as st

from jobs import service
from ui.parts import wording
from ui.parts.frame import STUDIES
from ui.studies.wording import PHASES, progress_text

SHOWN: Final = 30


def show_list() -> None:
    """One line for each study."""
    found = service.studies.studies()
    if not found:
        st.info("There is no study on this server yet.", icon=":material/inbox:")
        return
    more = st.session_state.get("more_studies", False)
    for study in found if more else found[:SHOWN]:
        _line(study)
    if len(found) > SHOWN and not more and st.button(f"Show {len(found) - SHOWN} more"):
        st.session_state["more_studies"] = True
        st.rerun()


def _line(study: service.studies.StudyView) -> None:
    with st.container(
        border=True,
        horizontal=True,
        vertical_alignment="center",
        horizontal_alignment="distribute",
        key=f"line-{study.id}",
    ):
        facts = [wording.age(study.created_at, datetime.now(UTC)), progress_text(study) if study.rows else ""]
        with st.container(width="content", gap=None):
            text = " · ".join(escape(fact) for fact in facts if fact)
            st.html(f'<p class="ok-name">{escape(study.name)}</p><p class="ok-quiet">{text}</p>')
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
            colour, icon, words = PHASES[study.phase]
            st.badge(words, color=colour, icon=icon)
            st.page_link(STUDIES.path, label="Open", query_params={"study": study.id}, icon=":material/arrow_forward:")

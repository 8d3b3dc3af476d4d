"""One study: its state, what can be done, its rows, what the check found, and its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from jobs import service
from pipeline.errors import KneeError
from pipeline.progress import StepState
from ui.parts import wording
from ui.parts.frame import STUDIES
from ui.parts.messages import escape, show_error, show_failure
from ui.parts.sharing import show_sharing_of_study
from ui.studies.charts import show_charts
from ui.studies.findings import show_findings
from ui.studies.gallery import show_gallery
from ui.studies.maps import show_maps
from ui.studies.retention import offer_retention, retention_text
from ui.studies.rows import show_rows
from ui.studies.tables import show_tables
from ui.studies.wording import PHASES, progress_text

POLL_S: Final = 2.0
LIVE: Final = ("checking", StepState.RUNNING.value)
"""Phases that change by themselves."""

StudyView = service.studies.StudyView

TABS: Final[dict[str, Callable[[StudyView], None]]] = {
    "Check": show_findings,
    "Rows": show_rows,
    "Review": show_gallery,
    "Charts": show_charts,
    "Maps": show_maps,
    "Tables": show_tables,
}


def show_study(study_id: str) -> None:
    """The page of a study. Raises StudyNotFound."""
    study = service.studies.get(study_id)
    st.title(escape(study.name))
    if study.phase in LIVE or study.running:
        _live(study_id, study.phase)
    else:
        _state(study)
    if study.problem:
        show_failure(study.problem.get("message", ""), study.problem.get("hint", ""))
    _actions(study)
    if not study.rows:
        return
    default = "Check" if study.phase == "checked" else "Rows"
    for tab, show in zip(
        st.tabs(list(TABS), default=default, on_change="rerun", key="tab"), TABS.values(), strict=True
    ):
        if tab.open:  # the others read their tables when they are opened
            with tab:
                show(study)


@st.fragment(run_every=POLL_S)
def _live(study_id: str, phase: str) -> None:
    """Redraw the state every two seconds; when the phase has changed, rerun the page."""
    study = service.studies.get(study_id)
    if study.phase != phase or (study.phase not in LIVE and not study.running):
        st.rerun()
    _state(study)


def _state(study: StudyView) -> None:
    colour, icon, words = PHASES[study.phase]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, color=colour, icon=icon)
        facts = [
            f"{study.rows:,} rows" if study.rows else "",
            f"folder {study.folder}" if study.folder else "uploaded scans",
            str(study.options.get("segmentation_model", "")),
            wording.date(study.created_at),
            retention_text(study) if study.expires_at is not None else "",
        ]
        st.html(f'<p class="ok-quiet">{" · ".join(fact for fact in facts if fact)}</p>')
    if study.ready and study.phase not in ("checking", "checked"):
        st.progress((study.complete + study.failed) / study.ready, text=progress_text(study))
    if study.failures:
        listed = ", ".join(f"{code} {number:,}" for code, number in study.failures.items())
        st.html(f'<p class="ok-quiet">Failed: {listed}</p>')


def _actions(study: StudyView) -> None:
    if not service.may_change_study(study.id):
        st.page_link(STUDIES.path, label="All studies", icon=STUDIES.icon)
        return
    doubts = dict(study.doubts)
    accepted: list[str] = []
    if study.phase == "checked" and doubts:
        accepted = st.multiselect(
            "Analyse rows in spite of these doubts",
            list(doubts),
            format_func=lambda code: f"{code} ({doubts[code]:,})",
            help="Rows with a doubt are left out until it is corrected or accepted. The tab Check explains each.",
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if study.phase == "checked":
            _button(
                "Start",
                ":material/play_arrow:",
                lambda: service.studies.start(study.id, accepted),
                primary=True,
                disabled=not study.ready and not accepted,
            )
        if study.phase in ("paused", "cancelled"):
            _button("Continue", ":material/play_arrow:", lambda: service.studies.start(study.id), primary=True)
        if study.phase == StepState.RUNNING.value:
            _button("Pause", ":material/pause:", lambda: service.studies.pause(study.id))
            _button("Cancel", ":material/block:", lambda: service.studies.cancel(study.id))
        if study.failed:
            _button("Retry failed", ":material/replay:", lambda: service.studies.retry_failed(study.id))
        offer_retention(study)
        if st.button("Delete", icon=":material/delete:", type="tertiary"):
            _confirm_delete(study)
        show_sharing_of_study(study.id)
        st.page_link(STUDIES.path, label="All studies", icon=":material/arrow_back:")


def _button(
    title: str, icon: str, action: Callable[[], object], *, primary: bool = False, disabled: bool = False
) -> None:
    if not st.button(title, icon=icon, type="primary" if primary else "secondary", disabled=disabled):
        return
    try:
        action()
    except KneeError as error:
        show_error(error)
        return
    st.rerun()


@st.dialog("Delete this study?")
def _confirm_delete(study: StudyView) -> None:
    st.write(
        f"**{escape(study.name)}**: its tables, its rows with their corrected outlines, and the analyses that no other "
        "study uses will be permanently deleted. Scans in folders of the operator stay; uploaded ones are deleted."
    )
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete-study"):
            try:
                service.delete_study(study.id)
            except KneeError as error:
                show_error(error)
                return
            st.query_params.clear()
            st.rerun()
        if st.button("Keep"):
            st.rerun()

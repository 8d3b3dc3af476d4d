"""The rows of a study in pages: state, reason, flags, and a link to the results of each."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from jobs import service
from pipeline.errors import KneeError
from pipeline.results_tree import OVERLAY, REPORT
from ui.parts.addresses import EDIT, STUDY, address
from ui.parts.frame import ANALYSIS
from ui.parts.messages import show_error
from ui.studies.wording import ROW_STATES

PAGE: Final = 100


def show_rows(study: service.studies.StudyView) -> None:
    """A filter and one page of rows."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state = st.selectbox("State", list(ROW_STATES), format_func=ROW_STATES.__getitem__, width=160)
        text = st.text_input("Subject or file contains", max_chars=100, width=260)
        number = st.number_input("Page", min_value=1, value=1, step=1, width=130)
    page = service.studies.rows(study.id, offset=(int(number) - 1) * PAGE, limit=PAGE, state=state, text=text)
    pages = max(1, -(-page.total // PAGE))
    st.html(f'<p class="ok-quiet" role="status">{page.total:,} rows, page {int(number)} of {pages:,}</p>')
    if not page.rows:
        return
    base = address(f"/api/studies/{study.id}/rows")
    name = (OVERLAY if study.compact else REPORT).path
    frame = pd.DataFrame(
        [
            {
                "Row": row.row,
                "Subject": row.subject,
                "Visit": row.visit,
                "Side": row.side,
                "State": ROW_STATES.get(row.state, row.state),
                "Results": f"{base}/{row.row}/artifacts/{name}" if row.analysis else "",
                "Version": row.version if row.analysis else None,
                "Reason": row.code,
                "What was found": " ".join(part for part in (row.message, row.remedy) if part),
                "Flags": ", ".join(row.flags),
                "File": row.path,
            }
            for row in page.rows
        ]
    )
    empty = [name for name in ("Reason", "What was found", "Flags") if not frame[name].any()]
    chosen = st.dataframe(
        frame.drop(columns=empty),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        key=f"rows-{number}-{state}-{text}",
        column_config={
            "Row": st.column_config.NumberColumn(width="small", format="%d"),
            "Results": st.column_config.LinkColumn(display_text="Open", width="small"),
            "Version": st.column_config.NumberColumn(
                width="small", format="%d", help="Of the outlines: 2 and higher where a reader has corrected them."
            ),
            "What was found": st.column_config.TextColumn(width="large"),
        },
    )
    if not service.may_change_study(study.id):
        return
    rows = [page.rows[index] for index in chosen.selection.rows if index < len(page.rows)]
    if not any(row.analysis for row in rows):
        st.html('<p class="ok-quiet">Select an analysed row to correct its outlines.</p>')
        return
    (row,) = rows
    if st.button(f"Correct the outlines of row {row.row}", icon=":material/edit:"):
        _edit(study.id, row.row)


def _edit(study_id: str, row: int) -> None:
    """The analysis of the row, in the edit mode."""
    try:
        job = service.edit_row(study_id, row)
    except KneeError as error:
        show_error(error)
        return
    st.switch_page(ANALYSIS.path, query_params={"job": job.id, EDIT: "1", STUDY: study_id})

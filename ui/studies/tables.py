"""Downloads of the tables of a study."""

from __future__ import annotations

from html import escape

import streamlit as st

from jobs import service
from ui.parts.addresses import address


def show_tables(study: service.studies.StudyView) -> None:
    """All tables as a zip, and each by itself."""
    if not study.tables:
        st.info("The tables are written when the first rows have ended.", icon=":material/hourglass_empty:")
        return
    base = address(f"/api/studies/{study.id}")
    st.html(
        f'<p><a class="ok-button" href="{base}/{service.studies.TABLES_ZIP}" download>Download all tables (zip)</a></p>'
    )
    if study.waiting or study.running:
        st.html('<p class="ok-quiet">They are written again about every minute while the study runs.</p>')
    lines = "".join(
        f'<li><a href="{base}/tables/{name}" download="{name}">{name}</a><span>{escape(meaning)}</span></li>'
        for name, meaning in service.studies.table_meanings().items()
    )
    st.html(f'<div class="ok-files"><ul>{lines}</ul></div>')

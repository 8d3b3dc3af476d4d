"""What the check found, row by row, with the remedy of each finding."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from jobs import service
from ui.parts.addresses import address

SHOWN: Final = 200

SEVERITIES: Final = {"blocked": "Blocked", "doubt": "Doubt", "note": "Note"}


def show_findings(study: service.studies.StudyView) -> None:
    """A list of findings, the gravest first, and a link to all of them."""
    st.html(
        f'<p class="ok-quiet">{study.ready:,} of {study.rows:,} rows can be analysed. Blocked rows must be corrected; '
        "rows in doubt are left out until they are corrected or accepted; notes change nothing.</p>"
    )
    found = service.studies.findings(study.id, SHOWN)
    if not found.findings:
        st.success("Nothing was found.", icon=":material/check:")
        return
    st.html(f'<ul class="ok-list ok-findings">{"".join(map(_line, found.findings))}</ul>')
    if found.total > SHOWN:
        st.html(f'<p class="ok-quiet">The first {SHOWN} of {found.total:,} findings.</p>')
    link = address(f"/api/studies/{study.id}/findings.csv")
    st.html(f'<p><a class="ok-link" href="{link}" download="findings.csv">All findings as CSV</a></p>')


def _line(found: service.studies.FoundInRow) -> str:
    finding = found.finding
    who = f"Row {found.row}" + (f", {found.subject}" if found.subject else "")
    return (
        f"<li><p><b>{escape(who)}</b> · {SEVERITIES[finding.severity]} · {finding.code}</p>"
        f'<p>{escape(finding.message)}</p><p class="ok-quiet">{escape(finding.remedy)}</p></li>'
    )

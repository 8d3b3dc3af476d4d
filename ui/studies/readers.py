"""How far each reader is, how far two of them agree, and their judgements side by side."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from jobs import service
from pipeline.review_state import ReviewState

SHOWN: Final = 500
NO_VALUE: Final = "–"
_NO_INITIALS: Final = "(no initials)"


def show_readers(study: service.studies.StudyView) -> None:
    """Nothing before a knee has been reviewed with initials."""
    found = service.studies.readers(study.id)
    if not any(item.reader for item in found.readers):
        return
    st.subheader("Readers")
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Reader": item.reader or _NO_INITIALS,
                    **{state.words.capitalize(): item.reviewed[state] for state in ReviewState},
                    "Still to review": item.remaining,
                    "Progress": (found.knees - item.remaining) / max(found.knees, 1),
                }
                for item in found.readers
            ]
        ),
        hide_index=True,
        column_config={"Progress": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
    )
    if len(found.readers) < 2:
        st.html('<p class="ok-quiet">Agreement is shown when a second reader has reviewed.</p>')
        return
    st.html(f'<p class="ok-quiet">{found.by_all:,} of {found.knees:,} knees were reviewed by all readers.</p>')
    if found.pairs:
        _show_agreement(found)
    _show_side_by_side(found)


def _show_agreement(found: service.studies.Readers) -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Readers": f"{pair.first or _NO_INITIALS} and {pair.second or _NO_INITIALS}",
                    "Knees": pair.knees,
                    "Same judgement": f"{pair.agreed} ({pair.share:.0%})",
                    "By chance": f"{pair.expected:.0%}",
                    "Cohen's kappa": _number(pair.kappa),
                    "Standard error": _number(pair.error),
                }
                for pair in found.pairs
            ]
        ),
        hide_index=True,
    )
    st.html(
        '<p class="ok-quiet">Kappa: (p_o − p_e) / (1 − p_e), without weights, with its standard error (Cohen, '
        "Educational and Psychological Measurement 1960;20:37). It is not defined where every judgement is the same."
        "</p>"
    )


def _show_side_by_side(found: service.studies.Readers) -> None:
    with st.expander("Judgements side by side, disagreements first"):
        st.html('<p class="ok-quiet">Readers who have not finished should not open this list.</p>')
        names = [item.reader for item in found.readers]
        lines = [
            {
                "Row": knee.row,
                "Subject": knee.subject,
                "Visit": knee.visit,
                "Side": knee.side,
                "Version": knee.version,
                **{name or _NO_INITIALS: _words(knee.states.get(name, "")) for name in names},
                "Still to review by": ", ".join(name or _NO_INITIALS for name in knee.missing),
            }
            for knee in found.side_by_side[:SHOWN]
        ]
        st.dataframe(pd.DataFrame(lines), hide_index=True)
        if len(found.side_by_side) > SHOWN:
            st.html(
                f'<p class="ok-quiet">The first {SHOWN} of {len(found.side_by_side):,}; all are in reviews.csv.</p>'
            )


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.2f}".replace("-", "−")


def _words(state: str) -> str:
    return ReviewState(state).words.capitalize() if state in tuple(ReviewState) else ""

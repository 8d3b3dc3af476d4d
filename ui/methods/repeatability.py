"""How much thickness differs when the same knee is scanned again: the figures that Compare uses, by region."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from jobs.service import ModelFacts
from pipeline.anatomy import SCHEMES
from ui.parts import tables
from ui.parts.messages import escape

LEAD = """
How much mean thickness (ThC, ThCtAB) differs when the same knee is scanned again and nothing has changed. **CV** is the
standard deviation over the repeats as a share of the mean. The **smallest detectable change** (SDC) is 1.96 · √2
standard deviations: of two scans of an unchanged knee, 95 in 100 differ by less. It is larger where bone is denuded,
because outlines of worn plates repeat worse. *Compare* calls a change larger than
measurement error only beyond it, and gives no verdict on analyses by two models.
"""
PUBLISHED_LEAD = """
**Published.** What others found with real scans, for comparison. *Compare* does not use these figures: scanners,
readers and regions differ.
"""
WORN = (
    "Each percent of a region's bone that is denuded adds {:.3f} mm to the SDC of the table, as an independent error."
)
NOT_MEASURED = "Not measured for the models installed here."
OLDER = "Measured with earlier weights than those that run now: Compare gives no verdict on analyses by these."


def show_repeatability(models: Sequence[ModelFacts]) -> None:
    """One table per model with known repeatability."""
    st.markdown(LEAD)
    measured = [(model, model.repeatability) for model in models if model.repeatability is not None]
    if not measured:
        st.write(NOT_MEASURED)
    for model, known in measured:
        title = model.card.title
        st.markdown(f"**{escape(title)}**")
        for scheme in SCHEMES:
            _show_figures(tables.repeatability(known.regions, scheme), f"{title}, {scheme.title.lower()}")
        st.caption(escape(known.method))
        if known.sdc_mm_per_denuded_percent:
            st.caption(WORN.format(known.sdc_mm_per_denuded_percent))
        if model.repeatability_outdated:
            st.caption(OLDER)
    st.markdown(PUBLISHED_LEAD)
    st.dataframe(
        tables.published_repeatability(), hide_index=True, height="content", alt="Published repeatability of thickness"
    )


def _show_figures(frame: pd.DataFrame, title: str) -> None:
    """The table of one scheme; nothing where the model's figures list none of its places."""
    if frame.empty:
        return
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        alt=f"Repeatability of mean thickness: {title}",
        column_config={
            "CV": st.column_config.NumberColumn("CV (%)", format="%.2f"),
            "SDC": st.column_config.NumberColumn("SDC (mm)", format="%.3f", help="Smallest detectable change"),
            "Mean": st.column_config.NumberColumn("Mean (mm)", format="%.2f"),
        },
    )

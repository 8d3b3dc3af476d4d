"""T2 or T1rho by region and layer."""

from __future__ import annotations

import streamlit as st

from pipeline.anatomy import TABLE_ORDER
from pipeline.flags import Use
from pipeline.relaxation import Relaxation
from pipeline.uses import Uses
from ui.analysis.measurements import caption, use_column
from ui.parts import charts, tables
from ui.parts.usable import greyed, show_note


def show_relaxation(rows: tables.Rows, uses: Uses, relaxation: Relaxation) -> None:
    """Chart of both layers, and table."""
    title = relaxation.title
    figure = charts.relaxation_bars(rows, relaxation)
    if figure is None:
        st.info(f"No {title} in any region: the fit left no voxel.", icon=":material/info:")
        return
    frame = tables.relaxation_by_region(rows, relaxation)
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        st.subheader(f"{title} by layer")
        show_note(uses.ban(relaxation.deep, TABLE_ORDER))
        st.plotly_chart(figure, config=charts.CONFIG, key=f"layers-{relaxation.whole.id}")
    with right:
        st.subheader("Table")
        shown = tables.relaxation_columns(relaxation)
        out = tables.excluded(rows, frame, shown)
        columns = {
            head: st.column_config.NumberColumn(
                f"{head}: {Use.NO}" if out[head].all() else head,
                format=f"%.{quantity.digits}f",
                help=f"{statistic.capitalize()}. {quantity.definition}",
            )
            for head, (quantity, statistic) in shown.items()
        }
        for note in uses.notes((relaxation.whole.id, place.plate, place.name) for place in TABLE_ORDER):
            show_note(note)
        st.dataframe(
            greyed(frame, out),
            hide_index=True,
            height="content",
            alt=f"{title} by region",
            column_config=columns | {"Region": st.column_config.TextColumn(width=182), "Use": use_column(frame)},
        )
    caption(
        f"In {relaxation.whole.unit.symbol}, over the voxels of each region. "
        "The map is an overlay of the slices and a colour of the surfaces."
    )

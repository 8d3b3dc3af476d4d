"""T2 or T1rho by region and layer."""

from __future__ import annotations

import streamlit as st

from pipeline.anatomy import SCHEMES
from pipeline.flags import Use
from pipeline.relaxation import Relaxation
from pipeline.uses import Uses
from ui.analysis.measurements import caption, use_column
from ui.parts import charts, tables
from ui.parts.region_choice import choose_scheme
from ui.parts.usable import greyed, show_note


def show_relaxation(rows: tables.Rows, uses: Uses, relaxation: Relaxation) -> None:
    """Chart of both layers, and table."""
    title = relaxation.title
    ids = {layer.id for layer in relaxation.layers}
    rows = [row for row in rows if row["quantity"] in ids]
    schemes = tables.schemes_in(rows, SCHEMES, relaxation.whole, None)
    if not schemes:
        st.info(f"No {title} in any region: the fit left no voxel.", icon=":material/info:")
        return
    scheme = choose_scheme(schemes, f"scheme-{relaxation.whole.id}")
    figure = charts.relaxation_bars(rows, relaxation, scheme)
    frame = tables.relaxation_by_region(rows, relaxation, scheme)
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        st.subheader(f"{title} by layer")
        show_note(uses.ban(relaxation.deep, scheme.shown))
        if figure is not None:
            st.plotly_chart(figure, config=charts.CONFIG, key=f"layers-{relaxation.whole.id}")
    with right:
        st.subheader("Table")
        shown, widest = tables.relaxation_columns(relaxation), 182 if scheme is SCHEMES[0] else 110
        out = tables.excluded(rows, frame, shown)
        columns = {
            head: st.column_config.NumberColumn(
                f"{head}: {Use.NO}" if out[head].all() else head,
                format=f"%.{quantity.digits}f",
                help=f"{statistic.capitalize()}. {quantity.definition}",
            )
            for head, (quantity, statistic) in shown.items()
        }
        for note in uses.notes((relaxation.whole.id, place.plate, place.name) for place in scheme.shown):
            show_note(note)
        names = {place.short: place.brief for place in scheme.shown}  # long names are cut alike
        st.dataframe(
            greyed(frame.assign(Region=frame["Region"].map(names)), out),
            hide_index=True,
            height="content",
            alt=f"{title} by region",
            column_config=columns | {"Region": st.column_config.TextColumn(width=widest), "Use": use_column(frame)},
        )
    caption(
        f"In {relaxation.whole.unit.symbol}, over the voxels of each region. "
        "The map is an overlay of the slices and a colour of the surfaces."
    )

"""Change in order: the subregions of one knee by their change, and the sums of loss and of gain."""

from __future__ import annotations

from html import escape as html_escape
from typing import Final

import plotly.graph_objects as go
import streamlit as st

from jobs import service
from ui.compare.change_charts import GAIN, LOSS
from ui.parts.charts import CONFIG, EXCLUDED, GREY

EXPLAINED: Final = (
    "Where cartilage is lost differs between knees, so knees are compared rank by rank: OV1 is the most negative "
    "change of the 16 femorotibial subregions, OV16 the most positive. ThCTnS and ThCTkS are the sums of the negative "
    "and of the positive changes of ThCtAB (Buck et al., Arthritis Rheum 2009; 61: 730)."
)
PUBLISHED: Final = (
    "For scale: untreated knees with osteoarthritis changed in one year by ThCTnS -921 ± 777 µm and ThCTkS +507 ± 429 "
    "µm (PMC5061102, mean ± SD). Readers and sequences differ."
)
LEAST_REACH_UM: Final = 100.0
"""Half the width of the axis is at least this: nothing looks large that is not."""


def show_ordered(found: service.OrderedRows, word: str) -> None:
    """Scores and chart, or why there are none. word: `Change` or `Difference`."""
    st.subheader(f"{word} in order")
    if found.thinning_um is None or found.thickening_um is None:
        st.info(found.why_none, icon=":material/info:")
        return
    thinning, thickening, thinner, thicker = st.columns(4)
    thinning.metric("Thinning score (ThCTnS)", f"{found.thinning_um:+.0f} µm")
    thickening.metric("Thickening score (ThCTkS)", f"{found.thickening_um:+.0f} µm")
    if found.thinner is not None and found.thicker is not None:
        thinner.metric("Thinner beyond the error", f"{found.thinner} of {len(found.values)}")
        thicker.metric("Thicker beyond the error", f"{found.thicker} of {len(found.values)}")
    st.plotly_chart(ordered_bars(found), config=CONFIG, key="ordered")
    pale = "" if found.thinner is None else " Changes within the measurement error are grey."
    st.html(f'<p class="ok-quiet">{html_escape(f"{EXPLAINED}{pale} {PUBLISHED}")}</p>')


def ordered_bars(found: service.OrderedRows) -> go.Figure:
    """One bar for each rank, the most negative change first; the subregion is its name."""
    known = found.thinner is not None
    colours = [EXCLUDED if known and not row.sure else LOSS if row.change_um < 0 else GAIN for row in found.values]
    figure = go.Figure(
        go.Bar(
            x=[row.change_um for row in found.values],
            y=[f"OV{row.rank}  {row.subregion}" for row in found.values],
            orientation="h",
            marker={"color": colours, "line": {"width": 0}},
            hovertemplate="%{y}<br>%{x:+.0f} µm<extra></extra>",
        )
    )
    reach = 1.1 * max(LEAST_REACH_UM, *(abs(row.change_um) for row in found.values))
    figure.update_layout(
        height=60 + 24 * len(found.values),
        margin={"l": 4, "r": 12, "t": 6, "b": 40},
        showlegend=False,
        dragmode=False,
        bargap=0.25,
    )
    figure.update_xaxes(
        title="Change of ThCtAB, µm", range=[-reach, reach], fixedrange=True, zeroline=True, zerolinecolor=GREY
    )
    figure.update_yaxes(fixedrange=True, automargin=True, autorange="reversed")
    return figure

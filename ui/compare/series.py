"""Three and more visits of one knee: every figure against time, its slope, and the error of the slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from typing import Final
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from jobs import service
from pipeline.anatomy import TABLE_ORDER
from pipeline.flags import Use
from pipeline.quantities import THC_MATCHED, Quantity
from pipeline.results_tree import ViewFile
from pipeline.uses import Uses
from ui.compare.analyses import BRIEF, caption, outlines, rows_of, schemes_of, show_name, show_warnings
from ui.compare.trend_charts import trend_lines
from ui.compare.trend_rows import SlopeUnit, followed, slope_unit, trends
from ui.parts import tables, wording
from ui.parts.addresses import address
from ui.parts.charts import CONFIG
from ui.parts.region_choice import choose_scheme
from ui.parts.usable import greyed, show_note, uses_of
from ui.viewers.scene import show_scene

_NUMBER = st.column_config.NumberColumn
CARD_PX: Final = 190
ERROR: Final = "Standard error of the slope, from the distances of the values to the line."
EXPECTED: Final = "Standard error of the slope that the repeatability of one measurement predicts."
SHOWN: Final = 4
"""Regions in the chart until others are chosen, where there are no whole plates."""


def show_series(job_ids: Sequence[str], times: Sequence[str]) -> None:
    """Everything about a series; computed now if it is not stored. Raises KneeError."""
    document = _made(job_ids, times)
    names = [f"Visit {number}" for number in range(1, len(document.visits) + 1)]
    with st.container(horizontal=True):
        for name, years, facts in zip(names, document.years, document.visits, strict=True):
            with st.container(border=True, width=CARD_PX):
                show_name(f"{name}, year {years:.2f}", service.get(facts.job_id))
    first = document.visits[0]
    made = ", ".join(dict.fromkeys(outlines(str(facts.model.get("id", "not known"))) for facts in document.visits))
    caption(f"{first.side.capitalize()} knee. Outlines: {made}.")
    uses = [uses_of(asdict(facts)) for facts in document.visits]
    show_warnings(document.warnings, names, uses)
    every = Uses(flags=tuple(chain.from_iterable(one.flags for one in uses)))
    query = urlencode({"job": job_ids, "time": times}, doseq=True)
    _show_scene(query, every.ban(THC_MATCHED, TABLE_ORDER))
    _show_trends([asdict(row) for row in document.trends], document.years, every)
    _show_fit(document, names)
    link = address(f"/api/series/trends.csv?{query}").replace("&", "&amp;")
    st.html(f'<a class="ok-button" href="{link}" download>Download as CSV</a>')


def _made(job_ids: Sequence[str], times: Sequence[str]) -> service.JobSeries:
    """The series, with a progress bar while it is computed."""
    place = st.empty()

    def report(share: float, text: str) -> None:
        place.progress(share, text=f"{text} …")

    document = service.series(job_ids, times, report)
    place.empty()
    return document


def _show_scene(query: str, excluded: str) -> None:
    st.subheader("Thickness on the bone")
    show_note(excluded)
    show_scene(address(f"/api/series/view/{ViewFile.SCENE}?{query}"), "series")
    caption(
        "Every visit on the bones of the first visit and their flat maps: move the slider, or play them. Points "
        "without a counterpart under cartilage have the colour of bone. Change is last minus first visit."
    )


@st.fragment
def _show_trends(rows: tables.Rows, years: Sequence[float], uses: Uses) -> None:
    """Chart and table of one quantity; choosing another one redraws only these two."""
    st.subheader("Change per year by region")
    there = {quantity.id: quantity for quantity in followed(rows)}
    if not there:
        st.info("No region was measured at three visits.", icon=":material/info:")
        return
    chosen = st.segmented_control(
        "Quantity", list(there), default=next(iter(there)), format_func=lambda key: there[key].short, required=True
    )
    quantity = there[str(chosen)]
    if len(schemes := schemes_of(rows_of(rows, quantity))) > 1:
        rows = tables.in_scheme(rows, choose_scheme(schemes, "scheme-trend"))
    frame, slope = trends(rows, quantity), slope_unit(quantity)
    frame["Region"] = frame["Region"].replace(BRIEF)
    for note in uses.notes((row["quantity"], row["structure"], row["region"]) for row in rows_of(rows, quantity)):
        show_note(note)
    regions, whole = list(frame["Region"]), list(frame["Region"][frame["Whole"]])
    shown = st.pills("Regions in the chart", regions, default=whole or regions[:SHOWN], selection_mode="multi")
    figure = trend_lines(frame[frame["Region"].isin(shown)], years, quantity.unit.symbol, slope)
    if figure is not None:
        st.plotly_chart(figure, config=CONFIG, key=f"trends-{quantity.id}")
    caption(_explained(quantity, known=bool(frame["Expected"].notna().any())))
    _show_table(frame, quantity, slope)


def _explained(quantity: Quantity, *, known: bool) -> str:
    band = "The band is the line with a slope that is one standard error larger and smaller."
    verdict = (
        "A slope of more than 1.96 expected errors is larger than measurement error."
        if known
        else "The repeatability is not known here, so no verdict is given."
    )
    if quantity is THC_MATCHED:
        return f"{quantity.definition} Here, the points of all visits count. {band} {verdict}"
    return (
        f"{quantity.title} ({quantity.main}). {quantity.definition} Each visit over its own regions. {band} {verdict}"
    )


def _show_table(frame: pd.DataFrame, quantity: Quantity, slope: SlopeUnit) -> None:
    unit, digits, per_year = quantity.unit.symbol, f"%.{quantity.digits}f", f"%.{slope.digits}f"
    frame = frame.drop(columns=["Values", "Whole"])
    frame["Slope"] = frame["Slope"].round(slope.digits) + 0.0  # a slope that rounds to nothing has no sign
    known = bool(frame["Expected"].notna().any())
    columns = {
        "Region": st.column_config.TextColumn(width=168),
        "First": _NUMBER(f"First ({unit})", format=digits, width=74),
        "Last": _NUMBER(f"Last ({unit})", format=digits, width=74),
        "Slope": _NUMBER(f"Slope ({slope.symbol} a year)", format=per_year, width=122),
        "Error": _NUMBER(f"± ({slope.symbol} a year)", format=per_year, width=100, help=ERROR),
        "Expected": _NUMBER(f"Expected ± ({slope.symbol} a year)", format=per_year, width=148, help=EXPECTED)
        if known
        else None,
        "Verdict": st.column_config.TextColumn("The slope is", width=204) if known else None,
        "Use": None if (frame["Use"] == Use.YES).all() else st.column_config.TextColumn(width=64),
    }
    shown = greyed(frame, tables.excluded_lines(frame))
    st.dataframe(shown, hide_index=True, height="content", alt="Slopes by region", column_config=columns)


def _show_fit(document: service.JobSeries, names: Sequence[str]) -> None:
    st.subheader("Fit of the bones")
    st.markdown("Distance between each visit's bone and that of the first visit, under the cartilage (rms, mm).")
    lines = [
        {"Bone": wording.name(bone.structure)} | dict(zip(names[1:], bone.plate_rms_mm, strict=True))
        for bone in document.registration
    ]
    st.dataframe(
        lines,
        hide_index=True,
        width="content",
        alt="Distances between the registered bones",
        column_config={name: _NUMBER(format="%.2f") for name in names[1:]},
    )

"""Published values of groups of people beside the values of this knee: never a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pipeline.anatomy import PLACES
from pipeline.flags import Use
from pipeline.quantities import QUANTITIES, THC_TAB
from pipeline.reference_values import Conditions, ReferenceGroup, reference_groups
from ui.parts import charts, tables
from ui.parts.usable import greyed

NOBODY: Final = "none"
SEXES: Final[Mapping[str, str]] = {NOBODY: "None", "male": "Men", "female": "Women"}
"""Choice -> its words; a key is the sex of a group."""

BAND: Final = "rgba(128,140,150,0.34)"
BAND_TITLE: Final = "95 % of the group"
KNEE: Final = "#1f8aa0"
"""Legible on the band, on light and dark backgrounds."""

_Text = st.column_config.TextColumn
_COLUMNS: Final[Mapping[str, Any]] = {
    "Region": _Text(width=104),
    "Measure": _Text(width=92),
    "This knee": _Text(width=74, alignment="right"),
    "Mean ± SD": _Text(width=96, alignment="right", help="Over the people of the group."),
    "Mean": _Text(width=66, alignment="right", help="Over the people of the group."),
    BAND_TITLE: _Text(width=114, alignment="right", help="Mean ± 1.96 SD."),
    "Z": _Text(width=52, alignment="right", help="Difference from the mean of the group, in its SD."),
}


def show_reference_values(rows: tables.Rows, document: Mapping[str, object]) -> None:
    """A choice of sex, and the groups of that sex; nothing is shown before one is chosen, and nothing is stored.

    document: the content of results.json
    """
    known = {key for group in reference_groups() for key in group.values}
    rows = [row for row in rows if (row["quantity"], row["structure"], row["region"]) in known]
    if not any(row["value"] is not None for row in rows):
        return
    st.subheader("Reference values")
    chosen = st.segmented_control(
        "Show published values of", SEXES, default=NOBODY, required=True, format_func=SEXES.__getitem__
    )
    _caption(
        "Values of groups of people beside those of this knee. They are no diagnosis. The choice stays on this page "
        "and is not stored."
    )
    if chosen in (None, NOBODY):
        return
    measured = Conditions.of(document)
    of_sex = [group for group in reference_groups() if group.sex == chosen]
    of_both = [group for group in reference_groups() if not group.sex]
    for group in (*of_sex, *of_both):
        _show_group(rows, group, measured)


def _show_group(rows: tables.Rows, group: ReferenceGroup, measured: Conditions) -> None:
    frame = reference_frame(rows, group, measured)
    if frame.empty:
        return
    st.markdown(f"**{group.title}**")
    figure = reference_bands(rows, group)
    if figure is not None:
        left, right = st.columns([1, 1.45], gap="small")
        with left:
            st.plotly_chart(figure, config=charts.CONFIG, key=f"reference-{group.id}")
    else:
        right = st.container()
    with right:
        st.dataframe(
            greyed(frame, tables.excluded_lines(frame)),
            hide_index=True,
            height="content",
            alt=f"Beside reference values: {group.title}",
            column_config=dict(_COLUMNS) | {"Use": None if (frame["Use"] == Use.YES).all() else _Text(width=64)},
        )
    _caption(f"{group.described} {why_without_z(rows, group, measured)}")


def reference_frame(rows: tables.Rows, group: ReferenceGroup, measured: Conditions) -> pd.DataFrame:
    """One line per place that both the knee and the group have a value of, as text; no Z where it has none, or where
    the value must not be used. Columns that are empty throughout are left out.
    """
    lines = []
    for quantity, structure, region in _places(rows, group):
        what, place = QUANTITIES[quantity], PLACES[structure, region]
        value, use = tables.value_of(rows, what, place), tables.use_of(rows, what, place)
        known = group.of(quantity, structure, region)
        if value is None or known is None:
            continue
        z = None if use is Use.NO else group.z_score(value, quantity, structure, region, measured)
        low, high = known.band or (None, None)
        lines.append(
            {
                "Region": place.brief,
                "Measure": what.column,
                "Use": use.value,
                "This knee": what.format(value),
                "Mean ± SD" if known.sd is not None else "Mean": what.format(known.mean)
                + (f" ± {what.format(known.sd)}" if known.sd is not None else ""),
                BAND_TITLE: "" if low is None or high is None else f"{what.format(low)} to {what.format(high)}",
                "Z": "" if z is None else f"{z:+.1f}",
            }
        )
    frame = pd.DataFrame(lines)
    return frame[[name for name in frame.columns if (frame[name] != "").any()]]


def _places(rows: tables.Rows, group: ReferenceGroup) -> list[tuple[str, str, str]]:
    """The places of a group that the knee has a value of: quantities, then places, in the order of tables."""
    order = {key: index for index, key in enumerate(PLACES)}
    known = sorted(group.values, key=lambda key: (list(QUANTITIES).index(key[0]), order[key[1:]]))
    return [key for key in known if tables.value_of(rows, QUANTITIES[key[0]], PLACES[key[1:]]) is not None]


def why_without_z(rows: tables.Rows, group: ReferenceGroup, measured: Conditions) -> str:
    """Which measures have no Z-score, and why; empty where all have one."""
    reasons: dict[str, list[str]] = {}
    for quantity, structure, region in _places(rows, group):
        if reason := group.no_z_score(quantity, structure, region, measured):
            reasons.setdefault(reason, []).append(PLACES[structure, region].brief)
    if not reasons:
        return ""
    every = len(reasons) == 1 and len(next(iter(reasons.values()))) == len(_places(rows, group))
    return " ".join(
        f"No Z-score{'' if every else ' of ' + '; '.join(dict.fromkeys(names))}: {reason}."
        for reason, names in reasons.items()
    )


def reference_bands(rows: tables.Rows, group: ReferenceGroup) -> go.Figure | None:
    """ThCtAB of this knee as a point on the band of the group, its mean as a line; None for a group without bands."""
    shown = []
    for quantity, structure, region in reversed(_places(rows, group)):
        known, place = group.of(quantity, structure, region), PLACES[structure, region]
        value = tables.value_of(rows, QUANTITIES[quantity], place)
        if quantity == THC_TAB.id and known is not None and known.band is not None and value is not None:
            shown.append((place, value, known.mean, *known.band))
    if not shown:
        return None
    names = [place.brief for place, *_ in shown]
    out = [tables.use_of(rows, THC_TAB, place) is Use.NO for place, *_ in shown]
    unit = THC_TAB.unit.symbol
    figure = go.Figure(
        go.Bar(
            x=[high - low for *_, low, high in shown],
            base=[low for *_, low, _ in shown],
            y=names,
            orientation="h",
            name=BAND_TITLE,
            marker={"color": BAND, "line": {"width": 0}},
            hovertemplate=f"%{{y}}<br>%{{base:.2f}} to %{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    )
    figure.add_scatter(
        x=[mean for _, _, mean, *_ in shown],
        y=names,
        mode="markers",
        name="Its mean",
        marker={"symbol": "line-ns-open", "size": 13, "line": {"width": 2}, "color": charts.GREY},
        hovertemplate=f"%{{y}}<br>%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
    )
    figure.add_scatter(
        x=[value for _, value, *_ in shown],
        y=names,
        mode="markers",
        name="This knee",
        marker={
            "symbol": ["x-thin-open" if no else "circle" for no in out],
            "size": 9,
            "color": [charts.GREY if no else KNEE for no in out],
        },
        customdata=["<br>Do not use" if no else "" for no in out],
        hovertemplate=f"%{{y}}<br>%{{x:.2f}} {unit}%{{customdata}}<extra>%{{fullData.name}}</extra>",
    )
    title = f"{THC_TAB.short}, {unit}"
    return charts.laid_out(figure, height=90 + 34 * len(shown), x_title=title, x_range=[0, None], legend=True)


def _caption(text: str) -> None:
    st.html(f'<p class="ok-quiet">{escape(text)}</p>')

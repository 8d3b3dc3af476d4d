"""Charts of a study: the distribution of a figure by group and visit, and the course of every knee over its visits."""

from __future__ import annotations

from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from jobs import service
from pipeline.anatomy import place_title
from pipeline.quantities import QUANTITIES
from ui.parts.charts import CONFIG, laid_out

MOST_LINES: Final = 300
"""More lines of single knees cover one another."""

MOST_POINTS: Final = 200
"""Of a group: more points of single knees hide the boxes."""

NO_GROUP: Final = "(all knees)"


def show_charts(study: service.studies.StudyView) -> None:
    """A choice of figure and group, then both charts."""
    if not study.tables:
        st.info("Charts appear when the first rows have ended.", icon=":material/hourglass_empty:")
        return
    choices = service.studies.chart_choices(study.id)
    if not choices.figures:
        st.info("No row has results yet.", icon=":material/inbox:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        figure = st.selectbox("Figure", list(choices.figures), format_func=_figure_title, width=360)
        group = st.selectbox("Groups", [NO_GROUP, *choices.groups], width=220)
    values = service.studies.chart_values(study.id, figure, "" if group == NO_GROUP else group)
    title, unit = _figure_title(figure), QUANTITIES[figure[0]].unit.symbol
    st.html(
        f'<p class="ok-quiet">{len(values):,} examinations. Figures that must not be used are left out. Groups are not '
        "compared statistically here.</p>"
    )
    _distribution(values, title, unit)
    if len({value.visit for value in values}) > 1:
        _course(values, title, unit)


def _figure_title(figure: tuple[str, str, str]) -> str:
    quantity, structure, region = figure
    return f"{QUANTITIES[quantity].short}, {place_title(structure, region)}"


def _distribution(values: list[service.studies.ChartValue], title: str, unit: str) -> None:
    chart = go.Figure()
    for group in sorted({value.group for value in values}):
        some = [value for value in values if value.group == group]
        chart.add_trace(
            go.Box(
                x=[value.visit or "one visit" for value in some],
                y=[value.value for value in some],
                text=[f"{value.subject} {value.visit} {value.side}" for value in some],
                name=group or "all knees",
                boxpoints="all" if len(some) <= MOST_POINTS else "outliers",
                jitter=0.4,
                pointpos=0,
            )
        )
    chart.update_layout(boxmode="group", yaxis_title=f"{title}, {unit}")
    st.subheader("Distribution by visit")
    _show(chart, values, "Visit", "distribution")


def _course(values: list[service.studies.ChartValue], title: str, unit: str) -> None:
    knees: dict[tuple[str, str], list[service.studies.ChartValue]] = {}
    for value in values:
        knees.setdefault((value.subject, value.side), []).append(value)
    followed = [visits for visits in knees.values() if len(visits) > 1]
    timed = all(value.years is not None for visits in followed for value in visits)
    colours: dict[str, int] = {group: index for index, group in enumerate(sorted({value.group for value in values}))}
    chart = go.Figure()
    shown: set[str] = set()
    for visits in followed[:MOST_LINES]:
        group = visits[0].group
        chart.add_trace(
            go.Scatter(
                x=[value.years if timed else value.visit for value in visits],
                y=[value.value for value in visits],
                text=[f"{value.subject} {value.visit} {value.side}" for value in visits],
                mode="lines+markers",
                line={"width": 1.2, "color": _colour(colours[group])},
                marker={"size": 5},
                opacity=0.75,
                name=group or "all knees",
                legendgroup=group,
                showlegend=group not in shown,
            )
        )
        shown.add(group)
    chart.update_layout(yaxis_title=f"{title}, {unit}", hovermode="closest")
    st.subheader("Each knee over its visits")
    if len(followed) > MOST_LINES:
        st.html(f'<p class="ok-quiet">The first {MOST_LINES} of {len(followed):,} knees.</p>')
    _show(chart, values, "Years after the first visit" if timed else "Visit", "course")


def _show(chart: go.Figure, values: list[service.studies.ChartValue], x_title: str, key: str) -> None:
    several = len({value.group for value in values}) > 1
    laid_out(chart, height=420, x_title=x_title, x_range=[None, None], legend=several)
    chart.update_xaxes(rangemode="normal")
    st.plotly_chart(chart, key=key, config=CONFIG)


def _colour(index: int) -> Any:  # Any: as plotly takes it
    from plotly.colors import qualitative

    return qualitative.Safe[index % len(qualitative.Safe)]

"""The server's work as plotly figures. Knows no page: figures of jobs.service.activity() in, charts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from jobs.service import DayCount, ModelTimes
from ui.parts import wording
from ui.parts.charts import LATERAL

COLOURS: Final = ("#0e7490", "#c2410c", "#7c6fb0", "#4d8f3a", "#b0872a", "#a8527f", "#5b7083", "#2f9e8f")
"""One colour per step; position and hover text also distinguish the steps."""


def jobs_per_day(days: Sequence[DayCount]) -> go.Figure:
    """Completed analyses of each day as bars."""
    figure = go.Figure(
        go.Bar(
            x=[day.day.isoformat() for day in days],
            y=[day.jobs for day in days],
            marker={"color": LATERAL, "line": {"width": 0}},
            hovertemplate="%{x|%d %b %Y}: %{y}<extra></extra>",
        )
    )
    most = max(day.jobs for day in days)
    figure.update_xaxes(tickformat="%d %b", nticks=6)
    figure.update_yaxes(title="Analyses", range=[0, max(4, 1.1 * most)], tickformat="d", nticks=5)
    return _laid_out(figure, height=260)


def step_times(models: Sequence[ModelTimes]) -> go.Figure:
    """Median seconds of each step, one stacked bar a model."""
    figure = go.Figure()
    steps = list(dict.fromkeys(step.name for model in models for step in model.steps))
    for place, name in enumerate(steps):
        seconds = [next((step.seconds for step in model.steps if step.name == name), 0.0) for model in models]
        figure.add_bar(
            x=seconds,
            y=[model.title.replace(" (built in)", "") for model in models],
            orientation="h",
            name=wording.name(name),
            marker={"color": COLOURS[place % len(COLOURS)], "line": {"width": 0}},
            hovertemplate=f"{wording.name(name)}: %{{x:.1f}} s<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(title="Seconds")
    return _laid_out(figure, height=170 + 56 * len(models), legend=True)


def _laid_out(figure: go.Figure, *, height: int, legend: bool = False) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 12, "t": 58 if legend else 6, "b": 40},
        showlegend=legend,
        bargap=0.25,
        legend_orientation="h",
        legend_y=1.0,
        legend_yanchor="bottom",
        legend_x=0,
        dragmode=False,
    )
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True, automargin=True)
    return figure

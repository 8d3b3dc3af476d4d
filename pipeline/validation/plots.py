"""Model against expert, and Bland-Altman, of one region: interactive drawings for the report.

Colours are legible on light and dark pages; the library is embedded once by the page (`library`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from pipeline.validation.case import MeasuredPlace
from pipeline.validation.record import PlaceFigures

HEIGHT_PX: Final = 300
INK: Final = "#7c8894"
POINT: Final = "#1591ba"
BIAS: Final = "#c2410c"
GRID: Final = "rgba(124,136,148,0.22)"
MARGIN: Final = 0.08
"""Empty part of an axis beyond the outermost values."""

_CONFIG: Final = {"displayModeBar": False, "responsive": True}


def library() -> Markup:
    """The script of the drawings, about 5 MB, once for a page."""
    return Markup(f"<script>{get_plotlyjs()}</script>")  # noqa: S704 -- a file of the package


def place_drawing(figures: PlaceFigures, items: Mapping[str, MeasuredPlace]) -> Markup:
    """Left: model against expert, with the line of equality. Right: difference against mean, with bias and limits.

    items: by name of the case, which the drawing shows at a point
    """
    unit = figures.of.unit.symbol
    shown = {name: item for name, item in items.items() if math.isfinite(item.model)}
    names = list(shown)
    true, ours = [item.expert for item in shown.values()], [item.model for item in shown.values()]
    middle = [(a + b) / 2 for a, b in zip(true, ours, strict=True)]
    errors = [b - a for a, b in zip(true, ours, strict=True)]
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.2)
    digits = f".{figures.of.digits + 1}f"
    ends = _range([*true, *ours])
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": INK, "width": 1, "dash": "dot"}, hoverinfo="skip", row=1, col=1
    )
    for column, x, y, words in ((1, true, ours, ("expert", "model")), (2, middle, errors, ("mean", "model - expert"))):
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers",
            marker={"color": POINT, "size": 8, "opacity": 0.75},
            customdata=names,
            hovertemplate=f"%{{customdata}}<br>{words[0]} %{{x:{digits}}}, "
            f"{words[1]} %{{y:{digits}}} {unit}<extra></extra>",
            row=1,
            col=column,
        )
    across = _range(middle)
    lines = ((figures.bias, "solid"), (figures.low, "dash"), (figures.high, "dash"))
    for value, dash in lines:
        if math.isfinite(value):
            figure.add_scatter(
                x=across,
                y=[value, value],
                mode="lines",
                line={"color": BIAS, "width": 1.4, "dash": dash},
                hovertemplate=f"%{{y:{digits}}} {unit}<extra></extra>",
                row=1,
                col=2,
            )
    _lay_out(figure, unit, ends, across)
    shown_lines = [value for value, _ in lines if math.isfinite(value)]
    figure.update_yaxes(range=_range([0.0, *errors, *shown_lines]), row=1, col=2)
    drawing = figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG)
    return Markup(drawing)  # noqa: S704 -- names of cases are JSON inside it


def _range(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or MARGIN * abs(high) or 1.0
    return [low - margin, high + margin]


def _lay_out(figure: go.Figure, unit: str, ends: list[float], across: list[float]) -> None:
    figure.update_layout(
        height=HEIGHT_PX,
        margin={"l": 56, "r": 10, "t": 8, "b": 46},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12, "family": "system-ui, sans-serif"},
        hoverlabel={"font": {"size": 13}},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, title_standoff=6)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, title_standoff=6)
    figure.update_xaxes(title_text=f"Expert, {unit}", range=ends, row=1, col=1)
    figure.update_yaxes(title_text=f"Model, {unit}", range=ends, row=1, col=1)
    figure.update_xaxes(title_text=f"Mean of both, {unit}", range=across, row=1, col=2)
    figure.update_yaxes(title_text=f"Model − expert, {unit}", row=1, col=2, zeroline=True, zerolinecolor=INK)

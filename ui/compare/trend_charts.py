"""Figures of all visits against time as a plotly figure. Knows no page: rows in, figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipeline.flags import Use
from ui.compare.trend_rows import SlopeUnit
from ui.parts.charts import GREY

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of Okabe and Ito: distinguishable for colour-blind readers, on light and dark backgrounds."""

SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "cross", "star")
BAND_OPACITY: Final = 0.16


def trend_lines(frame: pd.DataFrame, years: Sequence[float], unit: str, slope: SlopeUnit) -> go.Figure | None:
    """The values of each region (lines of ui.compare.trend_rows.trends) at the visits, their line by least squares, and
    the same line with a slope that is one standard error larger and smaller; None where there is no region.

    unit: of the values
    """
    if frame.empty:
        return None
    figure = go.Figure()
    for number, (_, row) in enumerate(frame.iterrows()):
        _add_region(figure, row, np.asarray(years), number, unit, slope)
    figure.update_layout(
        height=420,
        margin={"l": 4, "r": 12, "t": 30, "b": 40},
        showlegend=True,
        legend_orientation="h",
        legend_y=1.0,
        legend_yanchor="bottom",
        legend_x=0,
        dragmode=False,
    )
    figure.update_xaxes(title="Years after the first visit", fixedrange=True, zeroline=False)
    figure.update_yaxes(title=unit, fixedrange=True, automargin=True)
    return figure


def _add_region(
    figure: go.Figure, row: pd.Series[Any], years: np.ndarray[Any, Any], number: int, unit: str, slope: SlopeUnit
) -> None:
    out = row["Use"] == Use.NO
    colour = GREY if out else COLOURS[number % len(COLOURS)]
    values = np.array([np.nan if value is None else value for value in row["Values"]])
    there = np.isfinite(values)
    middle = years[there].mean()
    lines = {
        sign: values[there].mean() + (row["Slope"] + sign * row["Error"]) / slope.factor * (years - middle)
        for sign in (-1, 0, 1)
    }
    group = {"legendgroup": row["Region"], "hoverinfo": "skip", "showlegend": False, "mode": "lines"}
    figure.add_scatter(
        x=np.concatenate([years, years[::-1]]),
        y=np.concatenate([lines[-1], lines[1][::-1]]),
        fill="toself",
        fillcolor=colour,
        opacity=BAND_OPACITY,
        line={"width": 0},
        **group,
    )
    line = {"color": colour, "width": 2.2, "dash": "dot" if out else "solid"}
    figure.add_scatter(x=years, y=lines[0], line=line, **group)
    text = f"{row['Slope']:+.{slope.digits}f} ± {row['Error']:.{slope.digits}f} {slope.symbol} a year"
    figure.add_scatter(
        x=years,
        y=values,
        mode="markers",
        name=row["Region"],
        legendgroup=row["Region"],
        marker={"color": colour, "size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)]},
        hovertemplate=f"Year %{{x:.2f}}: %{{y:.2f}} {unit}<br>{text}{'<br>Do not use' if out else ''}"
        "<extra>%{fullData.name}</extra>",
    )

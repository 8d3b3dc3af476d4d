"""Differences between two analyses as a plotly figure. Knows no page: rows in, figure out."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from pipeline.flags import Use
from ui.parts.charts import EXCLUDED, GREY, LATERAL, MEDIAL

LOSS: Final = MEDIAL
GAIN: Final = LATERAL
BAND: Final = "rgba(128,140,150,0.28)"
LEAST_REACH: Final = 0.1
"""Half the width of the axis is at least this, mm: nothing looks large that is not."""


def change_bars(frame: pd.DataFrame, unit: str, title: str) -> go.Figure | None:
    """Change of each region (a table of ui.parts.tables.changes) as a bar over the band of the smallest detectable
    change; the whisker is what the registration can be wrong by. None where nothing was compared.
    """
    frame = frame.dropna(subset=["Change"]).iloc[::-1]
    if frame.empty:
        return None
    figure = go.Figure()
    known = frame.dropna(subset=["SDC"])
    if not known.empty:
        figure.add_bar(
            x=2 * known["SDC"],
            base=-known["SDC"],
            y=known["Region"],
            orientation="h",
            width=0.92,
            name="Within measurement error",
            marker={"color": BAND, "line": {"width": 0}},
            hovertemplate="%{y}<br>smallest detectable change %{customdata:.2f}<extra></extra>",
            customdata=known["SDC"],
        )
    figure.add_bar(
        x=frame["Change"],
        y=frame["Region"],
        orientation="h",
        width=0.5,
        name=title,
        marker={
            "color": [
                EXCLUDED if use == Use.NO else LOSS if value < 0 else GAIN
                for value, use in zip(frame["Change"], frame["Use"], strict=True)
            ],
            "line": {"width": 0},
            "pattern": {"shape": ["/" if use == Use.NO else "" for use in frame["Use"]]},
        },
        customdata=["<br>Do not use" if use == Use.NO else "" for use in frame["Use"]],
        error_x={
            "type": "data",
            "array": frame["Registration"].fillna(0.0),
            "color": GREY,
            "thickness": 1.4,
            "width": 3,
            "visible": bool(frame["Registration"].notna().any()),
        },
        hovertemplate=f"%{{y}}<br>%{{x:+.2f}} {unit}%{{customdata}}<extra></extra>",
    )
    reach = max(LEAST_REACH, frame["Change"].abs().max(), known["SDC"].max() if not known.empty else 0.0)
    reach = math.ceil(1.15 * reach * 10) / 10
    figure.update_layout(
        height=60 + 32 * len(frame),
        margin={"l": 4, "r": 12, "t": 6, "b": 40},
        barmode="overlay",
        showlegend=False,
        dragmode=False,
    )
    figure.update_xaxes(
        title=f"{title}, {unit}", range=[-reach, reach], fixedrange=True, zeroline=True, zerolinecolor=GREY
    )
    # the band's regions come first, and there may be fewer of them
    figure.update_yaxes(fixedrange=True, automargin=True, categoryorder="array", categoryarray=list(frame["Region"]))
    return figure

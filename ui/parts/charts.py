"""Measurements as plotly figures. Knows no page: rows in, figures out. Colours of text and grid are the theme's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from pipeline.anatomy import COMPARTMENT_PAIRS, REGION_SCHEME, TABLE_ORDER, Region, Scheme, pair_title
from pipeline.flags import Use
from pipeline.quantities import THC
from pipeline.relaxation import Relaxation
from pipeline.report.colours import css, thickness_css
from ui.parts import tables

CONFIG: Final = {"displayModeBar": False, "scrollZoom": False}
GREY: Final = "rgba(128,140,150,0.9)"
UNCERTAIN: Final = "#7c3aed"
"""Of the uncertainty of a mean; legible on light and dark backgrounds."""

MEDIAL: Final = "#c2410c"
LATERAL: Final = "#0e7490"
"""Distinguishable for colour-blind readers, on light and dark backgrounds."""
EXCLUDED: Final = "rgba(128,140,150,0.45)"
HATCHES: Final = ("/", "\\")
"""Of values that must not be used, where two kinds of bars are side by side."""

MEAN_AXIS: Final = f"Mean thickness, {THC.unit.symbol}"

MARGIN_MM: Final = 0.5
"""Empty axis beyond the thickest point."""


def thickness_bars(rows: tables.Rows, scheme: Scheme = REGION_SCHEME) -> go.Figure | None:
    """Mean thickness of each region of a scheme as a bar, its SD as a whisker, and the uncertainty of the mean, where
    it is known, as a second one; None where nothing was measured.
    """
    frame = tables.thickness_by_region(rows, scheme).dropna(subset=["Mean"])
    if frame.empty:
        return None
    names = {place.short: place.brief for place in scheme.shown}
    frame = frame.assign(Name=frame["Region"].map(names)).iloc[::-1]
    figure = go.Figure(
        go.Bar(
            x=frame["Mean"],
            y=frame["Name"],
            orientation="h",
            error_x={"type": "data", "array": frame["SD"].fillna(0.0), "color": GREY, "thickness": 1.4, "width": 3},
            marker={
                "color": [
                    EXCLUDED if out else thickness_css(mean)
                    for mean, out in zip(frame["Mean"], _excluded(frame), strict=True)
                ],
                "line": {"width": 0},
                "pattern": {"shape": _hatched(frame)},
            },
            customdata=list(zip(frame["Region"], _remarks(frame), strict=True)),
            hovertemplate="%{customdata[0]}<br>%{x:.2f} mm, SD %{error_x.array:.2f} mm%{customdata[1]}<extra></extra>",
        )
    )
    if "Uncertainty" in frame.columns:
        figure.add_scatter(
            x=frame["Mean"],
            y=frame["Name"],
            mode="markers",
            marker={"size": 1, "color": UNCERTAIN},
            error_x={
                "type": "data",
                "array": frame["Uncertainty"].fillna(0.0),
                "color": UNCERTAIN,
                "thickness": 2.4,
                "width": 6,
            },
            customdata=frame["Region"],
            hovertemplate="%{customdata}<br>%{x:.2f} ± %{error_x.array:.2f} mm (95 %)<extra></extra>",
        )
    return laid_out(figure, height=44 + 30 * len(frame), x_title=MEAN_AXIS, x_range=[0, None])


def _excluded(frame: pd.DataFrame) -> list[bool]:
    return [use == Use.NO for use in frame["Use"]]


def _hatched(frame: pd.DataFrame) -> list[str]:
    """Patterns of bars: excluded values are hatched, so that not only colour tells them."""
    return ["/" if out else "" for out in _excluded(frame)]


def _remarks(frame: pd.DataFrame) -> list[str]:
    return ["<br>Do not use" if out else "" for out in _excluded(frame)]


def medial_lateral(rows: tables.Rows) -> go.Figure | None:
    """Medial beside lateral for each pair of compartments."""
    means = {region: tables.value_of(rows, THC, region) for pair in COMPARTMENT_PAIRS for region in pair}
    shown = [pair for pair in COMPARTMENT_PAIRS if all(means[region] is not None for region in pair)]
    if not shown:
        return None
    figure = go.Figure()
    for name, colour, place in (("Lateral", LATERAL, 1), ("Medial", MEDIAL, 0)):
        values = [means[pair[place]] for pair in shown]
        out, hatch = [tables.use_of(rows, THC, pair[place]) is Use.NO for pair in shown], HATCHES[place]
        figure.add_bar(
            x=values,
            y=[pair_title(medial) for medial, _ in shown],
            orientation="h",
            name=name,
            marker={
                "color": [EXCLUDED if no else colour for no in out],
                "pattern": {"shape": [hatch if no else "" for no in out]},
            },
            text=[f"{value:.2f}" for value in values],
            textposition=["none" if no else "inside" for no in out],
            insidetextfont={"color": "#ffffff"},
            hovertemplate=f"%{{y}}, {name.lower()}<br>%{{x:.2f}} mm<extra></extra>",
        )
    figure.update_layout(legend={"traceorder": "reversed"}, barmode="group")
    return laid_out(
        figure,
        height=80 + 62 * len(shown),
        x_title=MEAN_AXIS,
        x_range=[0, None],
        legend=True,
    )


def distributions(document: Mapping[str, object], regions: Sequence[Region], rows: tables.Rows) -> go.Figure | None:
    """Share of each region's area by thickness; `document` is what pipeline.report.distributions writes.

    rows: of the same analysis; thickness that must not be used is a dotted grey line
    """
    values: dict[str, Any] = dict(document)
    edges = values.get("edges_mm") or []
    figure = go.Figure()
    thickest = 0.0
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    for region in regions:
        area = values["regions"][region.key]
        total = sum(area) or 1.0
        out = tables.use_of(rows, THC, region) is Use.NO
        thickest = max(thickest, *(edge for edge, value in zip(edges[1:], area, strict=True) if value > 0), 0.0)
        figure.add_scatter(
            x=middles,
            y=[100 * value / total for value in area],
            name=region.short,
            mode="lines",
            line={
                "color": GREY if out else css(region.colour),
                "width": 2.2,
                "shape": "hvh",
                "dash": "dot" if out else "solid",
            },
            hovertemplate="%{x:.2f} mm: %{y:.1f} %<extra>%{fullData.name}</extra>",
        )
    if not figure.data:
        return None
    figure.update_yaxes(title="Share of area, %", rangemode="tozero")
    end = min(edges[-1], thickest + MARGIN_MM)
    return laid_out(figure, height=340, x_title=f"Thickness, {THC.unit.symbol}", x_range=[0, end], legend=True)


def _regions(document: Mapping[str, object]) -> Mapping[str, object]:
    found: Any = document.get("regions", {})
    return dict(found)


def regions_in(document: Mapping[str, object]) -> list[Region]:
    """The regions of a distribution, in the order of the tables."""
    return [region for region in TABLE_ORDER if region.key in _regions(document)]


def relaxation_bars(rows: tables.Rows, relaxation: Relaxation, scheme: Scheme = REGION_SCHEME) -> go.Figure | None:
    """Median relaxation time of both layers per region of a scheme; None where it was not measured."""
    frame = tables.relaxation_by_region(rows, relaxation, scheme)
    if frame.empty:
        return None
    names = {place.short: place.brief for place in scheme.shown}
    frame = frame.iloc[::-1]
    figure = go.Figure()
    for name, colour, hatch in (("Superficial", LATERAL, HATCHES[1]), ("Deep", MEDIAL, HATCHES[0])):
        out = list(tables.excluded(rows, frame, tables.relaxation_columns(relaxation))[name])
        figure.add_bar(
            x=frame[name],
            y=frame["Region"].map(names),
            orientation="h",
            name=name,
            marker={
                "color": [EXCLUDED if no else colour for no in out],
                "pattern": {"shape": [hatch if no else "" for no in out]},
            },
            customdata=["<br>Do not use" if no else "" for no in out],
            hovertemplate=f"%{{y}}, {name.lower()} half<br>%{{x:.1f}} ms%{{customdata}}<extra></extra>",
        )
    figure.update_layout(legend={"traceorder": "reversed"}, barmode="group")
    return laid_out(
        figure,
        height=90 + 46 * len(frame),
        x_title=f"Median {relaxation.title}, {relaxation.whole.unit.symbol}",
        x_range=[0, None],
        legend=True,
    )


def laid_out(
    figure: go.Figure, *, height: int, x_title: str, x_range: list[float | None], legend: bool = False
) -> go.Figure:
    """The figure in the style of all charts of an analysis."""
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 12, "t": 30 if legend else 6, "b": 40},
        showlegend=legend,
        bargap=0.28,
        legend_orientation="h",
        legend_y=1.0,
        legend_yanchor="bottom",
        legend_x=0,
        dragmode=False,
    )
    figure.update_xaxes(title=x_title, range=x_range, fixedrange=True, rangemode="tozero")
    figure.update_yaxes(fixedrange=True, automargin=True)
    return figure

"""Charts as small SVG drawings; colours come from the page's style sheet and follow its light or dark scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from pipeline.grid import FloatArray
from pipeline.report.colours import thickness_css

WIDTH: Final = 460
"""User units; pages scale the drawing to the available width. Text of 12 units is legible on a phone."""

LABELS: Final = 200
"""Width left of the plot, for the row names."""

VALUES: Final = 44
"""Width right of the plot, for the row values."""

ROW: Final = 30
BIN_MM: Final = 0.25
"""Bin width of the distribution: below the voxel size, above the sampling step."""

NOT_USABLE: Final = "#8a939b"
"""Of values that must not be used."""

DISTRIBUTION_MM: Final = 6.0
DISTRIBUTION_ROW: Final = 166


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of the region chart: union mean with standard deviation, and the mean of the second method (mm).

    uncertainty: of the mean, NaN where it is not known
    usable: False for a value that must not be used, which is drawn grey and struck through
    """

    title: str
    colour: str
    mean: float
    std: float
    other: float
    uncertainty: float = math.nan
    usable: bool = True


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One row of the compartment chart: mean thickness (mm) medial and lateral. usable: False for either not usable."""

    title: str
    medial: float
    lateral: float
    usable: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Distribution:
    """Thickness (mm) at the vertices of a plate and the area (mm²) that each stands for; denuded vertices are 0.

    usable: False for thickness that must not be used
    """

    title: str
    thickness_mm: FloatArray
    area_mm2: FloatArray
    usable: bool = True


def _svg(height: float, label: str, parts: Sequence[str]) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704 -- built from numbers; all text is escaped
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def _text(x: float, y: float, text: str, *, cls: str = "t", anchor: str = "start") -> str:
    return f'<text class="{cls}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _value_class(usable: bool) -> str:
    return "v" if usable else "v x"


def _axis(top: float, bottom: float, high: float, left: float, right: float) -> list[str]:
    """Grid lines and labels at whole millimetres, with the unit at the last one."""
    parts = []
    for value in range(int(high) + 1):
        x = left + (right - left) * value / high
        parts.append(f'<line class="g" x1="{x:.1f}" y1="{top:g}" x2="{x:.1f}" y2="{bottom:g}"/>')
        unit = " mm" if value == int(high) else ""
        parts.append(_text(x, bottom + 16, f"{value}{unit}", cls="a", anchor="middle"))
    return parts


def _upper(values: Sequence[float]) -> float:
    return float(max(4, math.ceil(max((v for v in values if math.isfinite(v)), default=0.0))))


def regions_chart(bars: Sequence[Bar]) -> Markup:
    """Mean (dot), standard deviation (broad line) and uncertainty (whisker) of every region; mean of the second method
    (open diamond).
    """
    left, right = LABELS, WIDTH - VALUES
    high = _upper([bar.mean + bar.std for bar in bars])
    bottom = 8 + ROW * len(bars)
    parts = _axis(4, bottom, high, left, right)

    def x(value: float) -> float:
        return left + (right - left) * min(max(value, 0.0), high) / high

    for k, bar in enumerate(bars):
        y = 4 + ROW * (k + 0.5)
        parts.append(_text(left - 10, y + 4, bar.title, anchor="end"))
        if not math.isfinite(bar.mean):
            parts.append(_text(x(0) + 6, y + 4, "no value", cls="a"))
            continue
        colour = bar.colour if bar.usable else NOT_USABLE
        parts.append(
            f'<line x1="{x(bar.mean - bar.std):.1f}" y1="{y:g}" x2="{x(bar.mean + bar.std):.1f}" y2="{y:g}" '
            f'stroke="{colour}" stroke-width="7" stroke-linecap="round" opacity="0.45"/>'
            f'<circle class="{"o" if bar.usable else "x"}" cx="{x(bar.mean):.1f}" cy="{y:g}" r="6" fill="{colour}"/>'
        )
        if math.isfinite(bar.uncertainty):
            low, end = x(bar.mean - bar.uncertainty), x(bar.mean + bar.uncertainty)
            parts.append(
                f'<path class="w" d="M{low:.1f} {y - 11:g}v22M{low:.1f} {y:g}H{end:.1f}M{end:.1f} {y - 11:g}v22"/>'
            )
        if math.isfinite(bar.other):
            cx = x(bar.other)
            parts.append(f'<path class="d" d="M{cx:.1f} {y - 6:g}l5 6l-5 6l-5 -6z"/>')
        parts.append(_text(WIDTH, y + 4, f"{bar.mean:.2f}", cls=_value_class(bar.usable), anchor="end"))
    return _svg(bottom + 26, "Mean cartilage thickness, standard deviation and uncertainty by region", parts)


def compartments_chart(pairs: Sequence[Pair]) -> Markup:
    """Medial (M) and lateral (L) mean thickness joined by a line, and their ratio."""
    left, right = LABELS, WIDTH - VALUES
    high = _upper([value for pair in pairs for value in (pair.medial, pair.lateral)])
    row = ROW + 8
    bottom = 8 + row * len(pairs)
    parts = _axis(4, bottom, high, left, right)
    for k, pair in enumerate(pairs):
        y = 4 + row * (k + 0.5)
        parts.append(_text(left - 10, y + 4, pair.title, anchor="end"))
        ends = {letter: left + (right - left) * v / high for letter, v in (("M", pair.medial), ("L", pair.lateral))}
        shown = {letter: x for letter, x in ends.items() if math.isfinite(x)}
        if len(shown) == 2:
            parts.append(f'<line class="j" x1="{shown["M"]:.1f}" y1="{y:g}" x2="{shown["L"]:.1f}" y2="{y:g}"/>')
            if pair.lateral > 0:
                ratio = f"{pair.medial / pair.lateral:.2f}"
                parts.append(_text(WIDTH, y + 4, ratio, cls=_value_class(pair.usable), anchor="end"))
        apart = 0 if len(shown) < 2 or abs(shown["M"] - shown["L"]) > 21 else 8
        for letter, x in shown.items():
            at = y + (apart if letter == "L" else -apart)
            parts.append(f'<circle class="{f"c{letter}" if pair.usable else "x"}" cx="{x:.1f}" cy="{at:g}" r="10"/>')
            parts.append(_text(x, at + 4, letter, cls=f"l{letter}" if pair.usable else "t", anchor="middle"))
    return _svg(bottom + 26, "Medial and lateral mean cartilage thickness", parts)


def distribution_chart(plates: Sequence[Distribution]) -> Markup:
    """Percentage of each plate's area by thickness, with the colours of the surfaces."""
    row, left, right = DISTRIBUTION_ROW, 8, WIDTH - 8
    bins = round(DISTRIBUTION_MM / BIN_MM)
    bottom = 8 + row * len(plates)
    parts = _axis(4, bottom, DISTRIBUTION_MM, left, right)
    step = (right - left) / bins
    for k, plate in enumerate(plates):
        base = 8 + row * (k + 1) - 8
        place = np.minimum((plate.thickness_mm / BIN_MM).astype(np.int64), bins - 1)
        share = np.bincount(place, weights=plate.area_mm2, minlength=bins) / max(float(plate.area_mm2.sum()), 1e-9)
        tallest = max(float(share.max()), 1e-9)
        for n in np.flatnonzero(share > 0):
            height = float(share[n]) / tallest * (row - 26)
            colour = thickness_css((n + 0.5) * BIN_MM) if plate.usable else NOT_USABLE
            parts.append(
                f'<rect x="{left + n * step + 0.5:.1f}" y="{base - height:.1f}" width="{step - 1:.1f}" '
                f'height="{height:.1f}" fill="{colour}"/>'
            )
        parts.append(f'<line class="b" x1="{left}" y1="{base:g}" x2="{right}" y2="{base:g}"/>')
        parts.append(_text(right, base - row + 28, plate.title, cls="s", anchor="end"))
    return _svg(bottom + 26, "Percentage of the plate's area by cartilage thickness", parts)

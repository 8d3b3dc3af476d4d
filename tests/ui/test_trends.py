"""Slopes of a series as table and chart: units, order, and what must not be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.anatomy import FEMUR_ANTERIOR, FEMUR_WHOLE
from pipeline.quantities import TAB, THC
from ui.compare.trend_charts import COLOURS, trend_lines
from ui.compare.trend_rows import followed, slope_unit, trends
from ui.parts.charts import GREY

YEARS = (0.0, 1.0, 2.0, 4.0)


def row(region: Any, quantity: str = THC.id, **fields: Any) -> dict[str, Any]:
    plain = {"values": [2.0, 1.9, None, 1.6], "slope": -0.1, "error": 0.01, "expected": None}
    place = {"quantity": quantity, "structure": str(region.plate), "region": region.name}
    return place | plain | {"verdict": "not known", "use": "yes"} | fields


ROWS = [row(FEMUR_ANTERIOR, use="no"), row(FEMUR_WHOLE), row(FEMUR_WHOLE, TAB.id, slope=None, error=None)]


def test_lengths_change_by_micrometres_a_year_and_the_whole_plate_comes_first() -> None:
    frame = trends(ROWS, THC)
    assert list(frame["Region"]) == [FEMUR_WHOLE.short, FEMUR_ANTERIOR.short]
    assert list(frame["Whole"]) == [True, False]
    assert frame["Slope"].tolist() == pytest.approx([-100.0, -100.0])
    assert frame["Error"].tolist() == pytest.approx([10.0, 10.0])
    assert (slope_unit(THC).symbol, slope_unit(TAB).symbol) == ("µm", "mm²")


def test_a_quantity_without_a_slope_is_not_offered() -> None:
    assert followed(ROWS) == [THC]


def test_the_chart_has_line_band_and_values_and_the_line_goes_through_the_mean() -> None:
    figure = trend_lines(trends(ROWS, THC), YEARS, THC.unit.symbol, slope_unit(THC))
    band, line, points = figure.data[:3]
    there = np.array([0, 1, 3])
    fitted = np.array(line.y)
    assert fitted[there].mean() == pytest.approx(np.mean([2.0, 1.9, 1.6]))
    assert np.diff(fitted) == pytest.approx(-0.1 * np.diff(YEARS))
    assert np.isnan(points.y[2])
    assert max(np.array(band.y[:4]) - fitted) > 0 > min(np.array(band.y[:4]) - fitted)
    assert (line.line.color, figure.data[4].line.color) == (COLOURS[0], GREY)
    assert figure.data[4].line.dash == "dot"
    assert "Do not use" in figure.data[5].hovertemplate


def test_no_region_gives_no_chart() -> None:
    assert trend_lines(trends([], THC), YEARS, "mm", slope_unit(THC)) is None

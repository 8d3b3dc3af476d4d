"""The chart of ordered changes."""

from __future__ import annotations

from jobs.service import OrderedRows
from pipeline.comparison.ordered import ordered_changes
from tests.pipeline.comparison.test_ordered import changes, rows
from ui.compare.change_charts import GAIN, LOSS
from ui.compare.ordered import ordered_bars
from ui.parts.charts import EXCLUDED


def shown(sdc: float | None) -> OrderedRows:
    return ordered_changes(rows(changes(5), sdc=sdc))


def test_the_most_negative_change_is_on_top_and_changes_within_the_error_are_grey() -> None:
    found = shown(0.1)
    (bars,) = ordered_bars(found).data
    assert list(bars.x) == [value.change_um for value in found.values]
    assert bars.y[0] == f"OV1  {found.values[0].subregion}"
    pairs = zip(found.values, bars.marker.color, strict=True)
    colours = {(value.sure, value.change_um > 0): colour for value, colour in pairs}
    assert colours[True, False] == LOSS
    assert colours[True, True] == GAIN
    assert {colour for (sure, _), colour in colours.items() if not sure} == {EXCLUDED}


def test_without_a_measurement_error_no_bar_is_grey() -> None:
    (bars,) = ordered_bars(shown(None)).data
    assert set(bars.marker.color) == {LOSS, GAIN}

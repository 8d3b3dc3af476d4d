"""The measurements as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from pipeline.anatomy import place_order, place_title
from pipeline.flags import Use
from pipeline.quantities import DISTRIBUTION, SECOND, THC, Quantity, Statistic
from pipeline.report.page_tables import measured
from pipeline.types import Measurement

LEAST_PLACE_WIDTH: Final = 30
GAP: Final = 2


def text_table(rows: Iterable[Measurement]) -> list[str]:
    """Lines of the table: one row per region, one column per measured quantity, ThC with its standard deviation.

    Shows the main statistic of each quantity, and thickness by the primary method. Values that must not be used are in
    brackets, and a last line states it.
    """
    left_out = {quantity.id for quantity in DISTRIBUTION}  # a line of the terminal is short
    known = tuple(row for row in rows if row.method != SECOND and row.quantity not in left_out)
    columns: list[tuple[Quantity, Statistic, str]] = []
    for quantity in measured(known):
        columns.append((quantity, quantity.main, f"{quantity.short} {quantity.unit.symbol}"))
        if quantity is THC:
            columns.append((quantity, Statistic.STD, "SD"))
    values = {(row.structure, row.region, row.quantity, row.statistic): row for row in known}
    places = sorted({(row.structure, row.region) for row in known}, key=lambda place: place_order(*place))
    table = [["", *(head for _, _, head in columns)]]
    for place in places:
        cells = [_cell(quantity, values.get((*place, quantity.id, what))) for quantity, what, _ in columns]
        table.append([place_title(*place), *cells])
    widths = [max(len(line[k]) for line in table) + GAP for k in range(1, len(columns) + 1)]
    place_width = max(LEAST_PLACE_WIDTH, *(len(line[0]) + GAP for line in table))
    lines = [
        line[0].ljust(place_width) + "".join(cell.rjust(width) for cell, width in zip(line[1:], widths, strict=True))
        for line in table
    ]
    codes = sorted({row.flag for row in known if row.use == Use.NO})
    return [*lines, f"Do not use values in brackets ({', '.join(codes)})."] if codes else lines


def _cell(quantity: Quantity, row: Measurement | None) -> str:
    if row is None or not math.isfinite(row.value):
        return "–"
    shown = quantity.format(row.value)
    return f"({shown})" if row.use == Use.NO else shown

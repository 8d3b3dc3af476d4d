"""The measurements as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from pipeline.anatomy import place_order, place_title
from pipeline.flags import Use
from pipeline.quantities import DISTRIBUTION, QUANTITIES, SECOND, THC, Quantity, Statistic
from pipeline.report.page_tables import measured
from pipeline.types import Measurement

Place = tuple[str, str]
"""Structure and region."""
Values = Mapping[tuple[str, str, str, str], Measurement]
"""Structure, region, quantity and statistic -> row."""

LEAST_PLACE_WIDTH: Final = 30
GAP: Final = 2
LEAST_SHARE: Final = 0.15
"""A quantity with fewer places than this fraction of the others' has no column."""


def text_table(rows: Iterable[Measurement]) -> list[str]:
    """Lines of the table: one row per region, one column per measured quantity, ThC with its standard deviation.

    Shows the main statistic of each quantity, and thickness by the primary method. Quantities of a few places alone
    follow in separate lines. Values that must not be used are in brackets, and a last line states it.
    """
    left_out = {quantity.id for quantity in DISTRIBUTION}  # a line of the terminal is short
    known = tuple(row for row in rows if row.method != SECOND and row.quantity not in left_out)
    places: dict[str, list[Place]] = {}
    for row in sorted(known, key=lambda row: place_order(row.structure, row.region)):
        if row.statistic == QUANTITIES[row.quantity].main:
            places.setdefault(row.quantity, []).append((row.structure, row.region))
    most = max(map(len, places.values()), default=0)
    wide = [quantity for quantity in measured(known) if len(places[quantity.id]) >= LEAST_SHARE * most]
    few = [quantity for quantity in measured(known) if quantity not in wide]
    values = {(row.structure, row.region, row.quantity, row.statistic): row for row in known}
    codes = sorted({row.flag for row in known if row.use == Use.NO})
    return [
        *_table(wide, list(dict.fromkeys(place for quantity in wide for place in places[quantity.id])), values),
        *(_line(quantity, places[quantity.id], values) for quantity in few),
        *([f"Do not use values in brackets ({', '.join(codes)})."] if codes else []),
    ]


def _table(quantities: list[Quantity], places: list[Place], values: Values) -> list[str]:
    columns: list[tuple[Quantity, Statistic, str]] = []
    for quantity in quantities:
        columns.append((quantity, quantity.main, f"{quantity.short} {quantity.unit.symbol}"))
        if quantity is THC:
            columns.append((quantity, Statistic.STD, "SD"))
    table = [["", *(head for _, _, head in columns)]]
    for place in sorted(places, key=lambda place: place_order(*place)):
        cells = [_cell(quantity, values.get((*place, quantity.id, what))) for quantity, what, _ in columns]
        table.append([place_title(*place), *cells])
    widths = [max(len(line[k]) for line in table) + GAP for k in range(1, len(columns) + 1)]
    place_width = max(LEAST_PLACE_WIDTH, *(len(line[0]) + GAP for line in table))
    return [
        line[0].ljust(place_width) + "".join(cell.rjust(width) for cell, width in zip(line[1:], widths, strict=True))
        for line in table
    ]


def _line(quantity: Quantity, places: list[Place], values: Values) -> str:
    cells = (f"{place_title(*place)} {_cell(quantity, values[*place, quantity.id, quantity.main])}" for place in places)
    return f"{quantity.title} ({quantity.unit.symbol}): {'; '.join(cells)}"


def _cell(quantity: Quantity, row: Measurement | None) -> str:
    if row is None or not math.isfinite(row.value):
        return "–"
    shown = quantity.format(row.value)
    return f"({shown})" if row.use == Use.NO else shown

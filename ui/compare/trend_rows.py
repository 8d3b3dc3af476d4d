"""The trends of a series as tables for people. Knows no Streamlit: rows in, data frames out."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.anatomy import ALL, place_order, place_title
from pipeline.quantities import QUANTITIES, Quantity, Unit
from ui.parts import tables


@dataclass(frozen=True, kw_only=True)
class SlopeUnit:
    """How slopes of a quantity are shown: times `factor`, in `symbol` per year, with this number of digits."""

    symbol: str
    factor: float
    digits: int


def slope_unit(quantity: Quantity) -> SlopeUnit:
    """Lengths change by micrometres a year."""
    if quantity.unit is Unit.MM:
        return SlopeUnit(symbol="µm", factor=1000.0, digits=0)
    return SlopeUnit(symbol=quantity.unit.symbol, factor=1.0, digits=quantity.digits + 1)


def followed(rows: tables.Rows) -> list[Quantity]:
    """The quantities of which there is a slope, in the order of QUANTITIES."""
    there = {row["quantity"] for row in rows if row["slope"] is not None}
    return [quantity for key, quantity in QUANTITIES.items() if key in there]


def trends(rows: tables.Rows, quantity: Quantity) -> pd.DataFrame:
    """One line per place with a slope, in the order of the tables.

    Whole: not a part of a plate. Values: of every visit. Values, First and Last are in the quantity's unit; Slope,
    Error and Expected in that of slope_unit.
    """
    factor = slope_unit(quantity).factor
    found = [row for row in rows if row["quantity"] == quantity.id and row["slope"] is not None]
    lines = []
    for row in sorted(found, key=lambda row: place_order(row["structure"], row["region"])):
        slope, error, expected = (
            None if row[name] is None else factor * row[name] for name in ("slope", "error", "expected")
        )
        lines.append(
            {
                "Region": place_title(row["structure"], row["region"]),
                "Use": row["use"],
                "Whole": row["region"] == ALL,
                "Values": row["values"],
                "First": row["values"][0],
                "Last": row["values"][-1],
                "Slope": slope,
                "Error": error,
                "Expected": expected,
                "Verdict": row["verdict"].capitalize(),
            }
        )
    return pd.DataFrame(lines)

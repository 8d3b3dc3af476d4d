"""What a version changed, as a table. Knows no Streamlit: rows in, a data frame out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pandas as pd

from pipeline.anatomy import TABLE_ORDER, Structure
from pipeline.edits import StructureEdit
from pipeline.quantities import THC, VOLUME, Quantity
from ui.parts import tables

SHOWN: Final = (THC, VOLUME)
_TITLES: Final = {structure.key: structure.title for structure in Structure}


def changed_regions(before: tables.Rows, now: tables.Rows) -> pd.DataFrame:
    """One line per region and quantity whose shown figure differs: before, now, difference, each with its unit."""
    lines = []
    for region in TABLE_ORDER:
        for quantity in SHOWN:
            old, new = (tables.value_of(rows, quantity, region, None, None) for rows in (before, now))
            if _text(quantity, old) == _text(quantity, new):
                continue
            change = None if old is None or new is None else new - old
            lines.append(
                {
                    "Region": region.short,
                    "Quantity": f"{quantity.short} ({quantity.unit.symbol})",
                    "Before": _text(quantity, old),
                    "Now": _text(quantity, new),
                    "Difference": "" if change is None else f"{change:+.{quantity.digits}f}",
                }
            )
    return pd.DataFrame(lines)


def edits_in_words(edits: Iterable[StructureEdit]) -> list[str]:
    """`Femoral cartilage: 120 voxels added, 30 removed, Dice 0.981`."""
    return [
        f"{_TITLES.get(edit.structure, edit.structure)}: {edit.added:,} voxels added, {edit.removed:,} removed, "
        f"Dice {edit.dice:.3f}"
        for edit in edits
    ]


def _text(quantity: Quantity, value: float | None) -> str:
    return "not measured" if value is None else f"{value:.{quantity.digits}f}"

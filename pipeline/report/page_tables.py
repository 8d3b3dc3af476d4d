"""The measurements as the page shows them: one table per plate, and one for every other quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.anatomy import TABLE_ORDER, Plate, Region, place_order, place_title
from pipeline.quantities import (
    DAB,
    PRIMARY,
    QUANTITIES,
    SECOND,
    TAB,
    THC,
    THC_TAB,
    THICKNESSES,
    VOLUME,
    Method,
    Quantity,
    Statistic,
)
from pipeline.report.colours import css
from pipeline.segmentation.confidence import title_of
from pipeline.types import Measurement, Segmentation


class Lookup:
    """The rows of one analysis, accessed by name."""

    def __init__(self, rows: Iterable[Measurement]) -> None:
        self._rows = {(r.quantity, r.method, r.structure, r.region, r.statistic): r for r in rows}

    def value(
        self, quantity: Quantity, region: Region, statistic: Statistic | None = None, method: Method = PRIMARY
    ) -> float:
        """The quantity's main statistic, or another one; NaN where there is no such row."""
        row = self._row(quantity, region, statistic or quantity.main, method)
        return math.nan if row is None else row.value

    def count(self, quantity: Quantity, region: Region) -> int:
        """Vertices behind the main statistic; 0 where there is no such row."""
        row = self._row(quantity, region, quantity.main, PRIMARY)
        return 0 if row is None else row.n

    def _row(self, quantity: Quantity, region: Region, statistic: Statistic, method: Method) -> Measurement | None:
        return self._rows.get((quantity.id, method, region.plate, region.name, statistic))


@dataclass(frozen=True, kw_only=True)
class PivotTable:
    """Rows that have no table separate (T2, menisci): places down, statistics across."""

    title: str
    unit: str
    digits: int
    statistics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...], int], ...]


def number(value: object, decimals: int = 2) -> str:
    """A formatted number: fixed decimals, narrow spaces between thousands, a dash for a missing value."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return "–"
    return f"{value:,.{decimals}f}".replace(",", "\u202f")


def words(key: str) -> str:
    """`lateral_weight_bearing` -> `Lateral weight bearing`."""
    text = key.replace("_", " ")
    return text[:1].upper() + text[1:]


def measured(rows: Iterable[Measurement]) -> list[Quantity]:
    """The quantities that have rows, in the order of QUANTITIES."""
    found = {row.quantity for row in rows}
    return [quantity for quantity in QUANTITIES.values() if quantity.id in found]


def plate_tables(lookup: Lookup) -> list[dict[str, object]]:
    """One table for each plate that was measured."""
    tables: list[dict[str, object]] = []
    for plate in Plate:
        rows = [region_row(lookup, region) for region in TABLE_ORDER if region.plate is plate]
        if any(math.isfinite(row["tab"]) and row["tab"] > 0 for row in rows):
            tables.append({"title": plate.display_name, "rows": rows})
    return tables


def region_row(lookup: Lookup, region: Region) -> dict[str, Any]:  # Any: cells of a template
    """The table row of one region or of a whole plate."""
    return {
        "title": region.short,
        "whole": region.parent is None,
        "colour": css(region.colour) if region.label else None,
        "thc": {statistic.value: lookup.value(THC, region, statistic) for statistic in THC.statistics},
        "thctab": lookup.value(THC_TAB, region),
        "tab": lookup.value(TAB, region),
        "dab": lookup.value(DAB, region),
        "voxels_mm3": lookup.value(VOLUME, region, method=Method.VOXEL_COUNT),
        "n": lookup.count(THC, region),
        "other": {
            statistic.value: lookup.value(THC, region, statistic, SECOND)
            for statistic in (Statistic.MEAN, Statistic.STD)
        },
    }


def other_tables(rows: Iterable[Measurement]) -> list[PivotTable]:
    """All measurements that are not in the plate tables, so that the page is complete."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    own = {quantity.id for quantity in THICKNESSES}
    for row in rows:
        if row.quantity in own or (row.quantity == VOLUME.id and row.structure in tuple(Plate)):
            continue
        groups.setdefault((row.quantity, row.method), []).append(row)
    return [_pivot(QUANTITIES[quantity], Method(method), group) for (quantity, method), group in groups.items()]


def _pivot(quantity: Quantity, method: Method, group: Sequence[Measurement]) -> PivotTable:
    places = sorted({(row.structure, row.region) for row in group}, key=lambda place: place_order(*place))
    values = {(row.structure, row.region, row.statistic): row for row in group}
    statistics = tuple(s for s in quantity.statistics if any(row.statistic == s for row in group))
    rows = []
    for place in places:
        cells = [values.get((*place, statistic)) for statistic in statistics]
        found = [cell.n for cell in cells if cell is not None]
        rows.append(
            (place_title(*place), tuple(math.nan if cell is None else cell.value for cell in cells), max(found))
        )
    return PivotTable(
        title=f"{quantity.title}, {method.display_name}",
        unit=quantity.unit.symbol,
        digits=quantity.digits,
        statistics=tuple(statistic.value for statistic in statistics),
        rows=tuple(rows),
    )


def confidence_rows(segmentation: Segmentation) -> list[tuple[str, float, float | None]]:
    """Title, mean probability and surface entropy (bits) of every structure for which the model provides them."""
    known = segmentation.confidence
    return [
        (title_of(structure, known), value, segmentation.surface_entropy_bits.get(structure))
        for structure, value in known.items()
    ]

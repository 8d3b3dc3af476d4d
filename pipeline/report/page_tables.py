"""The measurements as the page shows them: one table per plate, and one for every other quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.anatomy import SCHEMES, Place, Plate, Region, Scheme, place_order, place_title
from pipeline.flags import Use
from pipeline.quantities import (
    DAB,
    DISTRIBUTION,
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
from pipeline.uses import Uses

_SHOWN: Final = tuple(quantity.id for quantity in (*THICKNESSES, VOLUME))
"""Quantities in the columns of the plate tables."""


class Lookup:
    """The rows of one analysis, accessed by name."""

    def __init__(self, rows: Iterable[Measurement]) -> None:
        self._rows = {(r.quantity, r.method, r.structure, r.region, r.statistic): r for r in rows}

    def value(
        self, quantity: Quantity, region: Place, statistic: Statistic | None = None, method: Method = PRIMARY
    ) -> float:
        """The quantity's main statistic, or another one; NaN where there is no such row."""
        row = self._row(quantity, region, statistic or quantity.main, method)
        return math.nan if row is None else row.value

    def count(self, quantity: Quantity, region: Place) -> int:
        """Vertices behind the main statistic; 0 where there is no such row."""
        row = self._row(quantity, region, quantity.main, PRIMARY)
        return 0 if row is None else row.n

    def use(self, quantity: Quantity, region: Place, method: Method = PRIMARY) -> str:
        """Whether the main statistic may be used, as in the column `use`; yes where there is no such row."""
        row = self._row(quantity, region, quantity.main, method)
        return Use.YES if row is None else row.use

    def any(self, quantity: Quantity, region: Place) -> tuple[float, str]:
        """The main statistic of a quantity with one method, and its use; NaN where there is no such row."""
        rows = [row for method in Method if (row := self._row(quantity, region, quantity.main, method)) is not None]
        return (rows[0].value, rows[0].use) if rows else (math.nan, Use.YES.value)

    def _row(self, quantity: Quantity, region: Place, statistic: Statistic, method: Method) -> Measurement | None:
        return self._rows.get((quantity.id, method, region.plate, region.name, statistic))


@dataclass(frozen=True, kw_only=True)
class PivotTable:
    """Rows without a separate table (T2, menisci): places down, statistics across. rows: place, values, n, use;
    notes: the reasons not to use some of them.
    """

    title: str
    unit: str
    digits: int
    statistics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...], int, str], ...]
    notes: tuple[str, ...]


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


def plate_tables(lookup: Lookup, uses: Uses) -> list[dict[str, object]]:
    """One table for each plate and scheme that was measured, with the reasons not to use some of its numbers."""
    return [
        {
            "title": _table_title(plate, scheme),
            "rows": [region_row(lookup, region) for region in regions],
            "notes": uses.notes((id_, plate.value, region.name) for region in regions for id_ in _SHOWN),
        }
        for scheme in SCHEMES
        for plate in Plate
        if (regions := _measured_in(lookup, scheme, plate))
    ]


def _measured_in(lookup: Lookup, scheme: Scheme, plate: Plate) -> list[Region]:
    """The regions of a plate as the tables of a scheme show them; none if none that it adds has an area."""
    shown = [place for place in scheme.shown if isinstance(place, Region) and place.plate is plate]
    own = [lookup.value(TAB, region) for region in shown if region in scheme.regions]
    return shown if any(math.isfinite(area) and area > 0 for area in own) else []


def _table_title(plate: Plate, scheme: Scheme) -> str:
    return plate.display_name if scheme is SCHEMES[0] else f"{plate.display_name}, {scheme.title.lower()}"


@dataclass(frozen=True, kw_only=True)
class DistributionTable:
    """Places down, quantities across. rows: place, and for each quantity the value and its use."""

    title: str
    quantities: tuple[Quantity, ...]
    rows: tuple[tuple[str, tuple[tuple[float, str], ...]], ...]
    notes: tuple[str, ...]


def distribution_tables(lookup: Lookup, uses: Uses) -> list[DistributionTable]:
    """How cartilage is distributed, one table for each plate and scheme."""
    tables = []
    for scheme in SCHEMES:
        for plate in Plate:
            regions = _measured_in(lookup, scheme, plate)
            rows = [(region.short, tuple(lookup.any(what, region) for what in DISTRIBUTION)) for region in regions]
            if not any(math.isfinite(value) for _, cells in rows for value, _ in cells):
                continue
            places = [(what.id, plate.value, region.name) for region in regions for what in DISTRIBUTION]
            tables.append(
                DistributionTable(
                    title=f"{_table_title(plate, scheme)}: distribution",
                    quantities=DISTRIBUTION,
                    rows=tuple(rows),
                    notes=tuple(uses.notes(places)),
                )
            )
    return tables


def region_row(lookup: Lookup, region: Region) -> dict[str, Any]:  # Any: cells of a template
    """The table row of one region or of a whole plate."""
    uses = {quantity.id: lookup.use(quantity, region) for quantity in THICKNESSES}
    uses[VOLUME.id] = lookup.use(VOLUME, region, Method.VOXEL_COUNT)
    return {
        "uses": uses,
        "worst": max(uses.values(), key=lambda use: Use(use).rank),
        "title": region.short,
        "whole": region.parent is None or bool(region.members),
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


def other_tables(rows: Iterable[Measurement], uses: Uses) -> list[PivotTable]:
    """All measurements that are not in the plate tables, so that the page is complete."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    own = {quantity.id for quantity in (*THICKNESSES, *DISTRIBUTION, VOLUME)}
    for row in rows:
        if row.quantity in own and row.structure in tuple(Plate):
            continue
        groups.setdefault((row.quantity, row.method), []).append(row)
    return [_pivot(QUANTITIES[quantity], Method(method), group, uses) for (quantity, method), group in groups.items()]


def _pivot(quantity: Quantity, method: Method, group: Sequence[Measurement], uses: Uses) -> PivotTable:
    places = sorted({(row.structure, row.region) for row in group}, key=lambda place: place_order(*place))
    values = {(row.structure, row.region, row.statistic): row for row in group}
    statistics = tuple(s for s in quantity.statistics if any(row.statistic == s for row in group))
    rows = []
    for place in places:
        cells = [values.get((*place, statistic)) for statistic in statistics]
        found = [cell.n for cell in cells if cell is not None]
        rows.append(
            (
                place_title(*place),
                tuple(math.nan if cell is None else cell.value for cell in cells),
                max(found),
                next((cell.use for cell in cells if cell is not None), Use.YES.value),
            )
        )
    return PivotTable(
        title=f"{quantity.title}, {method.display_name}",
        unit=quantity.unit.symbol,
        digits=quantity.digits,
        statistics=tuple(statistic.value for statistic in statistics),
        rows=tuple(rows),
        notes=tuple(uses.notes((quantity.id, *place) for place in places)),
    )


def confidence_rows(segmentation: Segmentation) -> list[tuple[str, float, float | None]]:
    """Title, mean probability and surface entropy (bits) of every structure for which the model provides them.

    Not of those that a reader has corrected.
    """
    known = segmentation.confidence
    return [
        (title_of(structure, known), value, segmentation.surface_entropy_bits.get(structure))
        for structure, value in known.items()
        if structure not in segmentation.edited
    ]

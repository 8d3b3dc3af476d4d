"""The measurements as the page shows them: one table a plate, and one for every other quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.anatomy import ALL, FEMORAL_PLATE, PATELLAR_PLATE, PLATES, REGION_BY_NAME, TIBIAL_PLATE
from pipeline.report.colours import css
from pipeline.segmentation.confidence import title_of
from pipeline.types import Measurement, Segmentation

REGION_ORDER: Final = (
    (
        FEMORAL_PLATE,
        ("anterior", "medial_weight_bearing", "lateral_weight_bearing", "medial_posterior", "lateral_posterior", ALL),
    ),
    (TIBIAL_PLATE, ("medial", "lateral", ALL)),
    (PATELLAR_PLATE, (ALL,)),
)
"""Plates and their regions in the order of every table and chart."""

SURFACE_QUANTITIES: Final = frozenset({"ThC", "ThCtAB", "tAB", "dAB"})


class Lookup:
    """The rows of one analysis by their names."""

    def __init__(self, rows: Iterable[Measurement]) -> None:
        self._rows = {(r.quantity, r.method, r.structure, r.region, r.statistic): r for r in rows}
        self._volumes = {(r.structure, r.region): r for r in rows if r.quantity == "volume"}

    def value(self, quantity: str, method: str, plate: str, region: str, statistic: str) -> float:
        """NaN where there is no such row."""
        row = self._rows.get((quantity, method, plate, region, statistic))
        return math.nan if row is None else row.value

    def count(self, quantity: str, method: str, plate: str, region: str, statistic: str) -> int:
        """Vertices or voxels behind a value; 0 where there is no such row."""
        row = self._rows.get((quantity, method, plate, region, statistic))
        return 0 if row is None else row.n

    def volume(self, plate: str, region: str) -> float:
        """mm3; NaN where there is no such row."""
        row = self._volumes.get((plate, region))
        return math.nan if row is None else row.value


@dataclass(frozen=True, kw_only=True)
class PivotTable:
    """Rows that have no table of their own (T2, menisci): regions down, statistics across."""

    title: str
    unit: str
    statistics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...], int], ...]


def number(value: object, decimals: int = 2) -> str:
    """A number for people: fixed decimals, narrow spaces between thousands, a dash for what does not exist."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return "–"
    return f"{value:,.{decimals}f}".replace(",", "\u202f")


def words(key: str) -> str:
    """`lateral_weight_bearing` -> `Lateral weight bearing`."""
    text = key.replace("_", " ")
    return text[:1].upper() + text[1:]


def plate_tables(lookup: Lookup) -> list[dict[str, Any]]:
    """One table a plate that was measured."""
    tables = []
    for plate, regions in REGION_ORDER:
        rows = [region_row(lookup, plate, region) for region in regions]
        if any(math.isfinite(row["tab"]) and row["tab"] > 0 for row in rows):
            tables.append({"title": words(plate), "rows": rows})
    return tables


def region_row(lookup: Lookup, plate: str, region: str) -> dict[str, Any]:
    """What a table says of one region, or of a whole plate."""
    key = REGION_BY_NAME.get((plate, region))
    union = {s: lookup.value("ThC", "union", plate, region, s) for s in ("mean", "std", "median")}
    other = {s: lookup.value("ThC", "two_crossing", plate, region, s) for s in ("mean", "std")}
    return {
        "title": "Whole plate" if region == ALL else words(region),
        "whole": region == ALL,
        "colour": None if key is None else css(key.colour),
        "thc": union,
        "thctab": lookup.value("ThCtAB", "union", plate, region, "mean"),
        "tab": lookup.value("tAB", "union", plate, region, "total"),
        "dab": lookup.value("dAB", "union", plate, region, "share"),
        "volume": lookup.volume(plate, region),
        "n": lookup.count("ThC", "union", plate, region, "mean"),
        "other": other,
    }


def other_tables(rows: Iterable[Measurement]) -> list[PivotTable]:
    """Everything that the plate tables leave out, so that no measurement is missing from the page."""
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for row in rows:
        on_plate = row.structure in PLATES.values()
        if row.quantity in SURFACE_QUANTITIES or (row.quantity == "volume" and on_plate):
            continue
        groups.setdefault((row.quantity, row.method, row.unit), []).append(row)
    return [
        _pivot(words(quantity) + f" ({words(method).lower()})", unit, group)
        for (quantity, method, unit), group in groups.items()
    ]


def _pivot(title: str, unit: str, group: Sequence[Measurement]) -> PivotTable:
    statistics = tuple(dict.fromkeys(row.statistic for row in group))
    places = dict.fromkeys((row.structure, row.region) for row in group)
    values = {(row.structure, row.region, row.statistic): row for row in group}
    rows = []
    for structure, region in places:
        cells = [values.get((structure, region, statistic)) for statistic in statistics]
        name = words(structure) if region == ALL else f"{words(structure)}, {region.replace('_', ' ')}"
        found = [cell.n for cell in cells if cell is not None]
        rows.append((name, tuple(math.nan if cell is None else cell.value for cell in cells), max(found)))
    return PivotTable(title=title, unit=unit, statistics=statistics, rows=tuple(rows))


def confidence_rows(segmentation: Segmentation) -> list[tuple[str, float, float | None]]:
    """Title, mean probability and surface entropy (bits) of every structure of which the model says so."""
    known = segmentation.confidence
    return [
        (title_of(structure, known), value, segmentation.surface_entropy_bits.get(structure))
        for structure, value in known.items()
    ]

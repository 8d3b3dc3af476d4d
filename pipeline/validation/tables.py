"""The figures of a validation as CSV: one row for each case and structure or region, and the summary."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from pipeline.quantities import QUANTITIES
from pipeline.validation.case import CaseResult
from pipeline.validation.files import MEASURES, OUTLINES, SUMMARY
from pipeline.validation.record import PlaceFigures, StructureFigures, Validation

_AGREEMENT: Final = ("dice", "mean_surface_distance_mm", "hausdorff95_mm", "volume_bias_percent")
_KEYS: Final = ("quantity", "method", "structure", "region")

Row = Sequence[object]


def write_tables(validation: Validation, results: Mapping[str, CaseResult], folder: Path) -> None:
    """OUTLINES, MEASURES and SUMMARY; undefined values are empty cells."""
    _write(folder / OUTLINES, ("case", "structure", *_AGREEMENT), _outlines(results))
    _write(folder / MEASURES, ("case", *_KEYS, "unit", "expert", "model", "difference"), _measures(results))
    _write(folder / SUMMARY, (*_KEYS, "unit", "figure", "value"), _summary(validation))


def _outlines(results: Mapping[str, CaseResult]) -> Iterable[Row]:
    for name, result in results.items():
        for part, row in result.agreement.items():
            yield name, part, *(getattr(row, key) for key in _AGREEMENT)


def _measures(results: Mapping[str, CaseResult]) -> Iterable[Row]:
    for name, result in results.items():
        for item in result.places:
            unit = QUANTITIES[item.quantity].unit
            yield (
                *(name, *(getattr(item, key) for key in _KEYS), unit),
                *(item.expert, item.model, item.model - item.expert),
            )


def _summary(validation: Validation) -> Iterable[Row]:
    for part, of_part in validation.structures.items():
        for item in fields(StructureFigures):
            yield (
                "outlines",
                "",
                part,
                "",
                "mm" if item.name.endswith("_mm") else "",
                item.name,
                getattr(of_part, item.name),
            )
    for place in validation.places:
        values = asdict(place)
        for item in fields(PlaceFigures):
            if item.name not in _KEYS:
                yield *(values[key] for key in _KEYS), place.of.unit, item.name, values[item.name]


def _write(path: Path, head: Row, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    """Six decimals, as results.csv has."""
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else ""
    return value

"""The report of a validation: one self-contained page with tables, drawings and the worst cases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Template
from markupsafe import Markup

from pipeline.anatomy import ALL, Structure
from pipeline.quantities import HEADLINES, SECOND, THC, VOLUME, Quantity
from pipeline.report.page import data_uri
from pipeline.report.page_tables import number, words
from pipeline.report.templates import compiled
from pipeline.segmentation.identity import named_digests
from pipeline.validation.case import SHEET, CaseResult, Outcomes
from pipeline.validation.files import MEASURES, OUTLINES, REPORT, SUMMARY
from pipeline.validation.labelled_set import LabelledSet
from pipeline.validation.outlines import MEASURED
from pipeline.validation.plots import library, place_drawing
from pipeline.validation.record import PlaceFigures, Validation
from pipeline.validation.statistics import ICC, ICC_SOURCE, LEAST_CASES, LIMITS_SOURCE
from pipeline.validation.summary import pairs_of, worst_first

TEMPLATE: Final = "validation.html.jinja"
WORST: Final = 5
"""Number of cases that are shown with their outlines."""

_MENISCI: Final = tuple((s.title, s.key, ALL) for s in (Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS))


@dataclass(frozen=True, kw_only=True)
class QuantitySection:
    """One quantity: its table, and a drawing for each headline region."""

    quantity: Quantity
    rows: tuple[PlaceFigures, ...]
    drawings: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """A case with low agreement. picture: an `src`; empty if there is none."""

    name: str
    dice: float
    result: CaseResult
    picture: str


def write_report(validation: Validation, labelled: LabelledSet, outcomes: Outcomes, folder: Path) -> None:
    """Write REPORT into the folder, which must exist."""
    ranked = worst_first(outcomes.results)
    page = _template().render(
        validation=validation,
        labelled=labelled,
        outcomes=outcomes,
        headlines=_headlines(validation),
        sections=_sections(validation, outcomes.results),
        worst=[_worst(name, dice, outcomes) for name, dice in ranked[:WORST]],
        scores=dict(ranked),
        parts=tuple(validation.structures),
        digests={key: value for key, value in named_digests(validation.model.digests).items() if value},
        library=library(),
        whole=ALL,
        second=SECOND,
        thc=THC,
        icc=ICC,
        sources=(LIMITS_SOURCE, ICC_SOURCE),
        least=LEAST_CASES,
        tables=(OUTLINES, MEASURES, SUMMARY),
    )
    (folder / REPORT).write_text(page, encoding="utf-8", newline="\n")


def _headlines(validation: Validation) -> list[tuple[str, PlaceFigures | None]]:
    """Thickness of the headline regions; volumes where there is no thickness."""
    quantity = THC if validation.of_quantity(THC) else VOLUME
    return [(title, validation.place(quantity, region.plate, region.name)) for title, region in HEADLINES]


def _sections(validation: Validation, results: Mapping[str, CaseResult]) -> list[QuantitySection]:
    drawn = [(title, region.plate.value, region.name) for title, region in HEADLINES]
    found = []
    for quantity in MEASURED:
        rows = validation.of_quantity(quantity)
        places = [*drawn, *_MENISCI] if quantity is VOLUME else drawn
        drawings = []
        for title, structure, region in places:
            figures = validation.place(quantity, structure, region)
            if figures is not None and figures.n >= LEAST_CASES:
                key = (quantity.id, figures.method, structure, region)
                items = {
                    name: item
                    for name, result in results.items()
                    if (item := next(iter(pairs_of([result]).get(key, ())), None)) is not None
                }
                drawings.append((title, place_drawing(figures, items)))
        if rows:
            found.append(QuantitySection(quantity=quantity, rows=rows, drawings=tuple(drawings)))
    return found


def _worst(name: str, dice: float, outcomes: Outcomes) -> WorstCase:
    sheet = outcomes.folders[name] / SHEET
    picture = data_uri(sheet) if sheet.is_file() else ""
    return WorstCase(name=name, dice=dice, result=outcomes.results[name], picture=picture)


def _rounded(value: float, decimals: int = 2) -> str:
    """As `number`, without the sign of a zero."""
    return number(round(value, decimals) + 0.0 if math.isfinite(value) else value, decimals).replace("-", "−")


def _signed(value: float, decimals: int = 2) -> str:
    """With its sign; a dash for a missing value."""
    text = _rounded(value, decimals)
    return f"+{text}" if math.isfinite(value) and round(value, decimals) > 0 else text


@cache
def _template() -> Template:
    return compiled(Path(__file__).with_name(TEMPLATE), number=_rounded, words=words, signed=_signed)

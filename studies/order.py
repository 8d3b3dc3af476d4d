"""The order of a subject's visits: by their times where they have them, else by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.comparison.visits import years_of
from pipeline.errors import NotComparable
from studies.manifest import Row

BASELINES: Final = ("baseline", "bl", "screening", "pre")
"""Names of visits that come before all others."""

VisitKey = tuple[tuple[int, float, str], ...]


def name_order(visit: str) -> VisitKey:
    """Sorts names of visits as people do: V2 before V10, baseline first."""
    if visit.lower() in BASELINES:
        return ((-1, 0.0, ""),)
    parts = re.split(r"(\d+)", visit.lower())
    return tuple((0, float(part), "") if part.isdecimal() else (1, 0.0, part) for part in parts if part)


def of_one_form(visits: Iterable[str]) -> bool:
    """Whether the names differ in numbers alone, so that their order is that of the numbers."""
    return len({re.sub(r"\d+", "0", visit.lower()) for visit in visits}) == 1


def by_subject(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Subject -> its rows, in their order; without those that have none."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.person.subject:
            found.setdefault(row.person.subject, []).append(row)
    return found


def years_of_rows(rows: Sequence[Row]) -> dict[int, float]:
    """Number of a row -> years after the earliest visit of its subject; rows without a time are left out.

    So are all rows of a subject with dates beside years.
    """
    found: dict[int, float] = {}
    for those in by_subject(rows).values():
        timed = [row for row in those if row.person.time]
        if not timed:
            continue
        try:
            years = years_of([row.person.time for row in timed])
        except NotComparable:
            continue
        first = min(years)
        found |= {row.number: year - first for row, year in zip(timed, years, strict=True)}
    return found

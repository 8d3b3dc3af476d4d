"""When visits took place: their times as people state them, and which times make a series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from pipeline.errors import NotComparable

LEAST_VISITS: Final = 3
LEAST_YEARS: Final = 0.5 / 365.25
"""Visits of different days are further apart than this, also where their times are rounded."""

MOST_YEARS: Final = 100.0
DAYS_A_YEAR: Final = 365.25
TIME_HINT: Final = (
    "Give the date of each scan (2021-05-31), or the years after any date (1.02). Dates are not read from scans: an "
    "analysis keeps none."
)


def years_of(times: Sequence[str]) -> tuple[float, ...]:
    """The time of each visit in years after any fixed date.

    times: dates (ISO 8601), or numbers of years; all of one kind. Raises NotComparable for a missing or unreadable
    time, and for both kinds together.
    """
    for number, text in enumerate(times, start=1):
        if not text.strip():
            raise NotComparable(f"Visit {number} of those given has no time.", hint=TIME_HINT)
    dates = [day for text in times if (day := _date(text)) is not None]
    if len(dates) == len(times):
        return tuple(day.toordinal() / DAYS_A_YEAR for day in dates)
    years = [_number(text) for text in times if _date(text) is None]
    if dates:
        raise NotComparable("Some visits have a date and others a number of years; expected one kind.", hint=TIME_HINT)
    return tuple(years)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise NotComparable("The time of a visit is neither a date nor years.", hint=TIME_HINT) from None


def require_times(years: Sequence[float]) -> None:
    """Raise NotComparable unless these are the times of a series. years: ascending"""
    if len(years) < LEAST_VISITS:
        raise NotComparable(
            f"{len(years)} visits were given; expected at least {LEAST_VISITS}.",
            hint="Compare two visits with one another, or add a visit.",
        )
    if not all(math.isfinite(time) for time in years):
        raise NotComparable("The time of a visit is not a number; expected years.", hint=TIME_HINT)
    if min(later - earlier for earlier, later in pairwise(years)) < LEAST_YEARS:
        raise NotComparable(
            "Two visits have the same time; expected times at least a day apart.",
            hint="Check the dates, or leave one of the two out: repeated scans of one day are one visit.",
        )
    if years[-1] - years[0] > MOST_YEARS:
        raise NotComparable(
            f"The visits are {years[-1] - years[0]:.0f} years apart; expected at most {MOST_YEARS:.0f}.",
            hint="Check the dates.",
        )

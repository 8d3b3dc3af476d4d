"""File names of a comparison, and of a series."""

from __future__ import annotations

from typing import Final

RESULT: Final = "comparison.json"
TABLE: Final = "changes.csv"
VIEW: Final = "view"
SERIES: Final = "series.json"
TRENDS: Final = "trends.csv"

COMPARISON_VERSION: Final = 4
SERIES_VERSION: Final = 2
"""Versions of the methods: kept comparisons and series of older versions are computed again."""

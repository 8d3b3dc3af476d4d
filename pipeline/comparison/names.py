"""File names of a comparison."""

from __future__ import annotations

from typing import Final

RESULT: Final = "comparison.json"
TABLE: Final = "changes.csv"
VIEW: Final = "view"

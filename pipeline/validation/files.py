"""The files of a validation, in OUTPUT/<set>/<model>."""

from __future__ import annotations

from typing import Final

REPORT: Final = "validation.html"
"""Everything on one page; opens in any browser, needs no network. Holds names of cases and pictures of scans."""

OUTLINES: Final = "outlines.csv"
"""Agreement of every structure of every case."""

MEASURES: Final = "measures.csv"
"""Every measure of every case, the expert's and the model's."""

SUMMARY: Final = "summary.csv"
"""The figures over all cases."""

CASES: Final = "cases"
"""Results of finished cases: a further call uses them."""

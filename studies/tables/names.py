"""Names of tables that the service reads, without the libraries that write them."""

from __future__ import annotations

from typing import Final

MEASUREMENTS_PARQUET: Final = "measurements.parquet"
RANKING_CSV: Final = "ranking.csv"
REASONS_SEPARATOR: Final = " | "

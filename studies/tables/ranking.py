"""ranking.csv: the knees of the study in the order in which they deserve a look."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from studies.longitudinal import registration_residuals
from studies.ranking import ranked
from studies.tables.names import MEASUREMENTS_PARQUET, REASONS_SEPARATOR
from studies.tables.rows import StudyState

RANKING_COLUMNS: Final = ("rank", "row", "subject", "visit", "side", "score", "reasons")
_READ: Final = ("row", "quantity", "method", "structure", "region", "statistic", "value")


def ranking_csv(state: StudyState, out: Path) -> str:
    """RFC 4180 text with LF line ends. out: the folder with the measurements of the same state."""
    import pandas as pd

    flags = {row.number: record.flags for row, record in state.complete}
    keys = {row.number: row.key for row, _ in state.complete}
    measurements = pd.read_parquet(out / MEASUREMENTS_PARQUET, columns=list(_READ))
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(RANKING_COLUMNS)
    residuals = registration_residuals(state.store, state.examinations)
    for rank, item in enumerate(ranked(measurements, flags, residuals), 1):
        number, subject, visit, side, _ = keys[item.row]
        writer.writerow([rank, number, subject, visit, side, f"{item.score:.3f}", REASONS_SEPARATOR.join(item.reasons)])
    return stream.getvalue()

"""Writes all tables and documents of a study, each atomically."""

from __future__ import annotations

from pathlib import Path

from studies.manifest import write_text
from studies.tables.dictionary import DICTIONARY_CSV, dictionary_csv
from studies.tables.listings import (
    CHANGES_CSV,
    FAILURES_CSV,
    OAI_CSV,
    ROWS_CSV,
    SLOPES_CSV,
    changes_csv,
    failures_csv,
    oai_csv,
    rows_csv,
    slopes_csv,
)
from studies.tables.measurements import write_measurements
from studies.tables.methods import METHODS, PROVENANCE_JSON, methods_text, provenance_text
from studies.tables.rows import StudyState


def write_tables(state: StudyState, out: Path) -> None:
    """The same state gives the same bytes. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    write_measurements(state, out)
    for name, text in (
        (ROWS_CSV, rows_csv(state)),
        (FAILURES_CSV, failures_csv(state)),
        (OAI_CSV, oai_csv(state)),
        (CHANGES_CSV, changes_csv(state)),
        (SLOPES_CSV, slopes_csv(state)),
        (DICTIONARY_CSV, dictionary_csv(state.check.further)),
        (METHODS, methods_text(state)),
        (PROVENANCE_JSON, provenance_text(state)),
    ):
        write_text(out / name, text)

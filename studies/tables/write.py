"""Writes all tables and documents of a study, each atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Final

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
from studies.tables.measurements import MEASUREMENTS_CSV, write_measurements
from studies.tables.methods import METHODS, PROVENANCE_JSON, methods_text, provenance_text
from studies.tables.names import MEASUREMENTS_PARQUET, RANKING_CSV
from studies.tables.ranking import ranking_csv
from studies.tables.reviews import AGREEMENT_CSV, REVIEWS_CSV, agreement_csv, reviews_csv
from studies.tables.rows import StudyState

MEANINGS: Final = {
    MEASUREMENTS_CSV: "every measurement of every knee",
    MEASUREMENTS_PARQUET: "the same for pandas, R and DuckDB",
    OAI_CSV: "one line for each knee, in the names of the OAI",
    CHANGES_CSV: "changes between visits",
    SLOPES_CSV: "slopes over three and more visits",
    ROWS_CSV: "every row of the manifest and what became of it",
    RANKING_CSV: "the knees in the order of what looks wrong, with the reasons",
    REVIEWS_CSV: "the judgements of readers on every knee",
    AGREEMENT_CSV: "agreement of every two readers, with Cohen's kappa",
    FAILURES_CSV: "rows without results, with reason and remedy",
    DICTIONARY_CSV: "meaning and unit of every column",
    METHODS: "text for the methods section of a paper",
    PROVENANCE_JSON: "versions, options and digests of every input",
}
"""Name of a table -> what it holds."""

TABLES: Final = tuple(MEANINGS)


def write_tables(state: StudyState, out: Path) -> None:
    """The same state gives the same bytes. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    write_measurements(state, out)
    write_text(out / RANKING_CSV, ranking_csv(state, out))
    for name, text in (
        (ROWS_CSV, rows_csv(state)),
        (FAILURES_CSV, failures_csv(state)),
        (OAI_CSV, oai_csv(state)),
        (CHANGES_CSV, changes_csv(state)),
        (SLOPES_CSV, slopes_csv(state)),
        (REVIEWS_CSV, reviews_csv(state)),
        (AGREEMENT_CSV, agreement_csv(state)),
        (DICTIONARY_CSV, dictionary_csv(state.check.further)),
        (METHODS, methods_text(state)),
        (PROVENANCE_JSON, provenance_text(state)),
    ):
        write_text(out / name, text)

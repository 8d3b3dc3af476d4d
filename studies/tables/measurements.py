"""measurements.csv and measurements.parquet: every measurement of every knee, one per row.

The values are those of the results.csv of each analysis. Both files are written knee by knee: memory does not grow.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.report.tables import CSV_COLUMNS
from pipeline.results_tree import MEASUREMENTS
from pipeline.workspace import atomic_file
from studies.store import AnalysisRecord
from studies.tables.names import MEASUREMENTS_PARQUET
from studies.tables.rows import KEY_COLUMNS, StudyRow, StudyState

MEASUREMENTS_CSV: Final = "measurements.csv"

COLUMNS: Final = (*KEY_COLUMNS, *CSV_COLUMNS, "model", "program", "version")
_KNEES_A_GROUP: Final = 100
"""Knees in one row group of Parquet: about 60,000 rows."""

_NUMBERS: Final = {"row": "int32", "years": "float64", "value": "float64", "n": "int64", "version": "int32"}


def write_measurements(state: StudyState, out: Path) -> None:
    """Write both files, atomically."""
    from pyarrow import parquet

    target = out / MEASUREMENTS_PARQUET
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    complete = state.complete
    try:
        with (
            atomic_file(out / MEASUREMENTS_CSV) as stream,
            parquet.ParquetWriter(partial, _schema(), compression="zstd") as writer,
        ):
            stream.write(_line(COLUMNS).encode())
            for start in range(0, len(complete), _KNEES_A_GROUP):
                some = complete[start : start + _KNEES_A_GROUP]
                text = "".join(_lines(state, row, record) for row, record in some).encode()
                stream.write(text)
                writer.write_table(_table(text))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _lines(state: StudyState, row: StudyRow, record: AnalysisRecord) -> str:
    """The lines of the analysis between what is the same in all of them."""
    first, last = _line(row.key).removesuffix("\n"), _line((record.model_id, record.program, str(record.version)))
    text = MEASUREMENTS.at(state.folder(record)).read_text(encoding="utf-8")
    return "".join(f"{first},{line},{last}" for line in text.splitlines()[1:])


def _line(values: Sequence[str]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()


def _table(text: bytes) -> Any:
    """Lines of the CSV file with numbers as numbers; an empty number is missing, an empty text is none."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        pa.BufferReader(text),
        read_options=arrow_csv.ReadOptions(column_names=list(COLUMNS)),
        convert_options=arrow_csv.ConvertOptions(
            column_types=_schema(), null_values=[""], strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    ).unify_dictionaries()


def _schema() -> Any:
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([(name, _NUMBERS.get(name, texts)) for name in COLUMNS])

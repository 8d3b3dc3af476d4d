"""measurements.csv and measurements.parquet: every measurement of every knee, one per row.

The values are those of the results.csv of each analysis. Both files are written knee by knee: memory does not grow.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.report.tables import CSV_COLUMNS
from pipeline.results_tree import MEASUREMENTS
from pipeline.workspace import atomic_file
from studies.store import AnalysisRecord
from studies.tables.rows import KEY_COLUMNS, StudyRow, StudyState

MEASUREMENTS_CSV: Final = "measurements.csv"
MEASUREMENTS_PARQUET: Final = "measurements.parquet"

COLUMNS: Final = (*KEY_COLUMNS, *CSV_COLUMNS, "model", "version")
_KNEES_A_GROUP: Final = 100
"""Knees in one row group of Parquet: about 60,000 rows."""

_NUMBERS: Final = {"row": "int32", "years": "float64", "value": "float64", "n": "int64"}


def write_measurements(state: StudyState, out: Path) -> None:
    """Write both files, atomically."""
    from pyarrow import parquet

    with atomic_file(out / MEASUREMENTS_CSV) as stream:
        stream.write(_line(COLUMNS).encode())
        for row, record in state.complete:
            stream.write(_lines(state, row, record).encode())
    target = out / MEASUREMENTS_PARQUET
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with parquet.ParquetWriter(partial, _schema(), compression="zstd") as writer:
            for table in _groups(state):
                writer.write_table(_typed(table))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _lines(state: StudyState, row: StudyRow, record: AnalysisRecord) -> str:
    """The lines of the analysis between what is the same in all of them."""
    first, last = _line(row.key).removesuffix("\n"), _line((record.model_id, record.program))
    text = MEASUREMENTS.at(state.folder(record)).read_text(encoding="utf-8")
    return "".join(f"{first},{line},{last}" for line in text.splitlines()[1:])


def _line(values: Sequence[str]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()


def _groups(state: StudyState) -> Iterator[Any]:
    import pyarrow as pa

    complete = state.complete
    for start in range(0, len(complete), _KNEES_A_GROUP):
        some = complete[start : start + _KNEES_A_GROUP]
        yield pa.concat_tables([_knee(state, row, record) for row, record in some])


def _knee(state: StudyState, row: StudyRow, record: AnalysisRecord) -> Any:
    """The rows of one knee, as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    read = arrow_csv.read_csv(
        MEASUREMENTS.at(state.folder(record)),
        read_options=arrow_csv.ReadOptions(use_threads=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(CSV_COLUMNS, pa.string()), strings_can_be_null=False
        ),
    )
    given = dict(zip(KEY_COLUMNS, row.key, strict=True)) | {"model": record.model_id, "version": record.program}
    columns = [
        read[name] if name in CSV_COLUMNS else pa.repeat(pa.scalar(given[name], pa.string()), len(read))
        for name in COLUMNS
    ]
    return pa.table(columns, names=list(COLUMNS))


def _typed(table: Any) -> Any:
    """With numbers as numbers, and an empty text of a number as missing."""
    import pyarrow as pa
    from pyarrow import compute

    columns = []
    for field in _schema():
        column = table[field.name]
        if field.name in _NUMBERS:
            empty = compute.equal(column, "")
            column = compute.if_else(empty, None, column)
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=_schema())


def _schema() -> Any:
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([(name, _NUMBERS.get(name, texts)) for name in COLUMNS])

"""data_dictionary.csv: every column of the tables, and every quantity, statistic, flag and OAI name in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from pipeline.anatomy import place_title
from pipeline.comparison.changes import Change
from pipeline.flags import FLAGS, Use
from pipeline.oai_variables import OAI_VARIABLES
from pipeline.quantities import QUANTITIES, Method
from studies.agreement import COMBINATIONS
from studies.columns import COLUMNS
from studies.findings import KINDS
from studies.row_state import RowState
from studies.tables.listings import (
    CHANGES_COLUMNS,
    CHANGES_CSV,
    FAILURE_COLUMNS,
    FAILURES_CSV,
    OAI_CSV,
    ROW_COLUMNS,
    ROWS_CSV,
    SLOPES_COLUMNS,
    SLOPES_CSV,
)
from studies.tables.measurements import COLUMNS as MEASUREMENT_COLUMNS
from studies.tables.measurements import MEASUREMENTS_CSV
from studies.tables.names import RANKING_CSV
from studies.tables.ranking import RANKING_COLUMNS
from studies.tables.reviews import AGREEMENT_COLUMNS, AGREEMENT_CSV, COUNT_COLUMNS, REVIEWS_COLUMNS, REVIEWS_CSV
from studies.tables.rows import KEY_COLUMNS

DICTIONARY_CSV: Final = "data_dictionary.csv"
HEAD: Final = ("table", "column", "value", "title", "unit", "meaning", "source")

_MEANINGS = {column.name: column.meaning for column in COLUMNS} | {
    "row": "number of the line in the manifest, from 1",
    "side": "side of the knee as measured; in rows without results, as stated",
    "years": "years after the first visit of the subject; in changes between the two visits, in slopes of all visits",
    "state": f"{', '.join(RowState)}; left out by the check",
    "code": "code of the reason why there are no results",
    "flags": "codes of the quality flags of the knee",
    "warnings": "what the analysis remarked, separated by |",
    "model": "id of what outlined the knee",
    "program": "version of the program, and its commit",
    "version": "version of the outlines: 1 as analysed, 2 and higher as a reader has corrected them",
    "analysis": "folder of the analysis in the store",
    "path": "scan and label map, as in the manifest",
    "message": "what was found and what was expected",
    "remedy": "what to do",
    "step": "step of the analysis that failed",
    "quantity": "what was measured; see the values",
    "method": "how it was computed; see the values",
    "structure": "cartilage plate, bone or meniscus",
    "region": "region or subregion of the structure; all: the whole",
    "statistic": "statistic over the region",
    "value": "in the unit of the row; empty: not measured",
    "unit": "unit of the value",
    "n": "number of vertices or voxels",
    "flag": "code of the quality flag that decides the use",
    "use": "whether the number may be used",
    "oai_variable": "name of the measure in the tables of the Osteoarthritis Initiative",
    "from_visit": "the earlier visit",
    "to_visit": "the later visit",
    "from_row": "row of the earlier visit",
    "to_row": "row of the later visit",
    "consecutive": "whether no visit lies between the two",
    "from_first": "whether the earlier visit is the first of the knee",
    "a": "value of the earlier visit",
    "b": "value of the later visit",
    "change": "b - a",
    "change_percent": "in % of a",
    "sdc": "smallest detectable change, in the unit of the row",
    "verdict": "the change, or the slope, relative to the measurement error",
    "registration_rms_mm": "residual of the registration of the bones",
    "registration_error": "largest effect of that residual, in the unit of the row",
    "compared_percent": "share of the region that was compared",
    "visits": "number of visits with a time",
    "rank": "1: deserves a look first",
    "score": "of what looks wrong: flags, robust distance from the median of the study, missing structures",
    "reasons": "of the score, the gravest first, separated by |",
    "review": "judgement of the readers; disagreement: they differ",
    "reader": "initials of the reader; empty: not given",
    "present": "whether the judgement is on the version that the row has",
    "note": "remark of the reader",
    "first_reader": "initials of one reader",
    "second_reader": "initials of another reader",
    "knees": "number of knees that both have judged, each in the newest version that both have",
    "agreed": "number of them with the same judgement",
    "share": "of knees with the same judgement",
    "expected_share": "of knees with the same judgement that is expected by chance",
    "kappa": "Cohen's kappa without weights (Cohen 1960); empty: not defined, all judgements are the same",
    "kappa_error": "its standard error (Cohen 1960)",
    "slope": "per year, in the unit of the row",
    "error": "standard error of the slope from the residuals of the line",
    "expected": "standard error of the slope from the repeatability of one measurement",
}
_MEANINGS |= {
    name: f"knees that the first reader calls {first} and the second {second}"
    for name, (first, second) in zip(COUNT_COLUMNS, COMBINATIONS, strict=True)
}
_UNITS: Final = {"years": "years", "age": "years"}
_TABLES: Final = {
    MEASUREMENTS_CSV: MEASUREMENT_COLUMNS,
    ROWS_CSV: ROW_COLUMNS,
    FAILURES_CSV: FAILURE_COLUMNS,
    CHANGES_CSV: CHANGES_COLUMNS,
    SLOPES_CSV: SLOPES_COLUMNS,
    RANKING_CSV: RANKING_COLUMNS,
    REVIEWS_CSV: REVIEWS_COLUMNS,
    AGREEMENT_CSV: AGREEMENT_COLUMNS,
    OAI_CSV: (*KEY_COLUMNS, "sex", "age", "SIDE"),
}


def dictionary_csv(further: tuple[str, ...]) -> str:
    """RFC 4180 text with LF line ends. further: the further columns of the manifest."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(_lines(further))
    return stream.getvalue()


def _lines(further: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for table, columns in _TABLES.items():
        for column in columns:
            meaning = "1 for a right and 2 for a left knee" if column == "SIDE" else _MEANINGS[column]
            yield table, column, "", "", _UNITS.get(column, ""), meaning, ""
        for column in further if table in (ROWS_CSV, OAI_CSV) else ():
            yield table, column, "", "", "", "as in the manifest", "manifest"
    for (quantity, structure, region, statistic), name in OAI_VARIABLES.items():
        known = QUANTITIES[quantity]
        title = f"{place_title(structure, region)}: {known.title}"
        yield OAI_CSV, name, "", title, known.unit.value, f"{statistic} of {quantity}", known.source
    for known in QUANTITIES.values():
        title, unit = known.title, known.unit.value
        yield MEASUREMENTS_CSV, "quantity", known.id, title, unit, known.definition, known.source
    for method in Method:
        yield MEASUREMENTS_CSV, "method", method.value, method.display_name, "", method.definition, ""
    for code, kind in FLAGS.items():
        yield MEASUREMENTS_CSV, "flag", code.value, "", "", kind.meaning, ""
    for use in Use:
        yield MEASUREMENTS_CSV, "use", use.value, "", "", _USES[use], ""
    for reason, finding in KINDS.items():
        yield FAILURES_CSV, "code", reason, "", "", finding.meaning, ""


_USES: Final = {
    Use.YES: "it may be used",
    Use.CAUTION: "it may be used after a look at the reason",
    Use.NO: "it must not be used; the wide table leaves it empty",
}

assert {item.name for item in fields(Change)} <= _MEANINGS.keys()  # noqa: S101 -- a new column needs a meaning

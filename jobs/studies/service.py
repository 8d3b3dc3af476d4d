"""Operations on studies for pages and routes."""

from __future__ import annotations

from jobs.studies.charts import ChartChoices, ChartValue, chart_choices, chart_values
from jobs.studies.downloads import TABLES_ZIP, archive, findings_csv, row_artifact, table, table_meanings
from jobs.studies.operations import (
    StudyRequest,
    add_rows,
    cancel,
    create,
    data_folders,
    delete,
    get,
    manifest_text,
    pause,
    retry_failed,
    rows_of_names,
    set_expiry,
    start,
    studies,
)
from jobs.studies.progress import (
    MOST_ROWS_OF_A_PAGE,
    Findings,
    FoundInRow,
    RowsPage,
    RowView,
    StudyView,
    findings,
    rows,
)
from jobs.studies.reviews import Gallery, RankedKnee, ReaderProgress, Readers, ReadKnee, gallery, readers, review
from jobs.studies.thumbnails import thumbnail

__all__ = [
    "MOST_ROWS_OF_A_PAGE",
    "TABLES_ZIP",
    "ChartChoices",
    "ChartValue",
    "Findings",
    "FoundInRow",
    "Gallery",
    "RankedKnee",
    "ReadKnee",
    "ReaderProgress",
    "Readers",
    "RowView",
    "RowsPage",
    "StudyRequest",
    "StudyView",
    "add_rows",
    "archive",
    "cancel",
    "chart_choices",
    "chart_values",
    "create",
    "data_folders",
    "delete",
    "findings",
    "findings_csv",
    "gallery",
    "get",
    "manifest_text",
    "pause",
    "readers",
    "retry_failed",
    "review",
    "row_artifact",
    "rows",
    "rows_of_names",
    "set_expiry",
    "start",
    "studies",
    "table",
    "table_meanings",
    "thumbnail",
]

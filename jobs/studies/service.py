"""Operations on studies for pages and routes."""

from __future__ import annotations

from jobs.studies.downloads import archive, findings_csv, row_artifact, table, table_meanings
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
    start,
    studies,
)
from jobs.studies.progress import MOST_ROWS_OF_A_PAGE, Findings, RowsPage, RowView, StudyView, findings, rows

__all__ = [
    "MOST_ROWS_OF_A_PAGE",
    "Findings",
    "RowView",
    "RowsPage",
    "StudyRequest",
    "StudyView",
    "add_rows",
    "archive",
    "cancel",
    "create",
    "data_folders",
    "delete",
    "findings",
    "findings_csv",
    "get",
    "manifest_text",
    "pause",
    "retry_failed",
    "row_artifact",
    "rows",
    "rows_of_names",
    "start",
    "studies",
    "table",
    "table_meanings",
]

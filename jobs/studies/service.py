"""Operations on studies for pages and routes."""

from __future__ import annotations

from jobs.studies.operations import (
    MOST_MANIFEST_BYTES,
    StudyRequest,
    add_rows,
    cancel,
    create,
    data_folders,
    delete,
    get,
    pause,
    retry_failed,
    start,
    studies,
)
from jobs.studies.progress import RowsPage, RowView, StudyView, rows

__all__ = [
    "MOST_MANIFEST_BYTES",
    "RowView",
    "RowsPage",
    "StudyRequest",
    "StudyView",
    "add_rows",
    "cancel",
    "create",
    "data_folders",
    "delete",
    "get",
    "pause",
    "retry_failed",
    "rows",
    "start",
    "studies",
]

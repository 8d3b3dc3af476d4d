"""Operations on studies for pages and routes, each given to `permitted` as in jobs/service.py."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.access.audit import Act
from jobs.access.held import Held, HeldKind
from jobs.access.rules import one as _one
from jobs.access.rules import only_visible as _only_visible
from jobs.access.rules import permitted as _permitted
from jobs.intake.scans import held_scan as _held_scan
from jobs.intake.study_form import MOST_MANIFEST_BYTES
from jobs.studies import charts as _charts
from jobs.studies import downloads as _downloads
from jobs.studies import map_requests as _map_requests
from jobs.studies import operations as _operations
from jobs.studies import progress as _progress
from jobs.studies import reviews as _reviews
from jobs.studies import thumbnails as _thumbnails
from jobs.studies.charts import ChartChoices, ChartValue
from jobs.studies.downloads import TABLES_ZIP, table_meanings
from jobs.studies.map_requests import MapChoices, MapGroup, MapView
from jobs.studies.operations import StudyRequest, data_folders, manifest_text, rows_of_names
from jobs.studies.owner import held_study as _held_study
from jobs.studies.progress import MOST_ROWS_OF_A_PAGE, Findings, FoundInRow, RowsPage, RowView, StudyView
from jobs.studies.reviews import Gallery, RankedKnee, ReaderProgress, Readers, ReadKnee

_study = _one(_held_study)


def _scans_of(request: StudyRequest) -> Iterable[Held]:
    return [_held_scan(scan_id) for scan_id in request.scans or ()]


get = _permitted(Act.SAW, study_id=_study)(_operations.get)
rows = _permitted(Act.SAW, study_id=_study)(_progress.rows)
findings = _permitted(Act.SAW, study_id=_study)(_progress.findings)
gallery = _permitted(Act.SAW, study_id=_study)(_reviews.gallery)
readers = _permitted(Act.SAW, study_id=_study)(_reviews.readers)
map_choices = _permitted(Act.SAW, study_id=_study)(_map_requests.map_choices)
maps_view = _permitted(Act.SAW, study_id=_study)(_map_requests.maps_view)
map_file = _permitted(Act.EXPORTED, study_id=_study)(_map_requests.map_file)
ask_for_maps = _permitted(Act.SAW, person=True, study_id=_study)(_map_requests.ask_for_maps)
thumbnail = _permitted(Act.SAW, study_id=_study)(_thumbnails.thumbnail)
chart_choices = _permitted(Act.SAW, study_id=_study)(_charts.chart_choices)
chart_values = _permitted(Act.SAW, study_id=_study)(_charts.chart_values)
studies = _only_visible(_held_study)(_operations.studies)
row_artifact = _permitted(Act.EXPORTED, study_id=_study)(_downloads.row_artifact)
table = _permitted(Act.EXPORTED, study_id=_study)(_downloads.table)
archive = _permitted(Act.EXPORTED, study_id=_study)(_downloads.archive)
findings_csv = _permitted(Act.EXPORTED, study_id=_study)(_downloads.findings_csv)
create = _permitted(Act.CREATED, makes=HeldKind.STUDY, person=True, request=_scans_of)(_operations.create)
add_rows = _permitted(Act.CHANGED, study_id=_study)(_operations.add_rows)
set_expiry = _permitted(Act.CHANGED, study_id=_study)(_operations.set_expiry)
start = _permitted(Act.CHANGED, study_id=_study)(_operations.start)
pause = _permitted(Act.CHANGED, study_id=_study)(_operations.pause)
cancel = _permitted(Act.CHANGED, study_id=_study)(_operations.cancel)
retry_failed = _permitted(Act.CHANGED, study_id=_study)(_operations.retry_failed)
review = _permitted(Act.CHANGED, study_id=_study)(_reviews.review)

__all__ = [
    "MOST_MANIFEST_BYTES",
    "MOST_ROWS_OF_A_PAGE",
    "TABLES_ZIP",
    "ChartChoices",
    "ChartValue",
    "Findings",
    "FoundInRow",
    "Gallery",
    "MapChoices",
    "MapGroup",
    "MapView",
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
    "ask_for_maps",
    "cancel",
    "chart_choices",
    "chart_values",
    "create",
    "data_folders",
    "findings",
    "findings_csv",
    "gallery",
    "get",
    "manifest_text",
    "map_choices",
    "map_file",
    "maps_view",
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

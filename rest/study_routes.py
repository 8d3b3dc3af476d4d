"""Routes for studies: many scans from one manifest."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Final

from fastapi import Body, FastAPI, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from jobs import service
from jobs.intake.field_names import OPTION_FIELDS, check_names, check_query
from jobs.intake.form import parse_options
from jobs.intake.study_form import (
    EXPIRY_FIELDS,
    ROW_REVIEW_FIELDS,
    ROWS_FIELDS,
    START_FIELDS,
    STUDY_FIELDS,
    ExpiryForm,
    RowReviewForm,
    RowsForm,
    StartForm,
    StudyForm,
    StudyScan,
)
from jobs.intake.version_form import LONGEST_INITIALS, parse_body
from pipeline.results_tree import BINARY, CSV, JSON, PLAIN
from rest.answers import documented
from rest.files import artifact_response, file_response
from rest.schemas import VersionResponse
from rest.study_map_routes import add_study_map_routes

TAGS: Final[list[str | Enum]] = ["studies"]
MOST_OFFSET: Final = 1_000_000
_MEDIA_TYPES: Final = {".csv": CSV, ".json": JSON, ".txt": PLAIN}
_FILE: Final[dict[int | str, dict[str, object]]] = {200: {"content": {"*/*": {}}}, 206: {"content": {"*/*": {}}}}


class Studies(BaseModel):
    """folders: names of the folders that the operator allows; studies: newest first."""

    folders: list[str]
    studies: list[service.studies.StudyView]


class PairResponse(BaseModel):
    """Two readers on the knees that both have judged; kappa: null where it is not defined."""

    first: str
    second: str
    knees: int
    agreed: int
    share: float
    expected: float
    kappa: float | None
    error: float | None
    counts: list[tuple[str, str, int]]


class ReadersResponse(BaseModel):
    """knees: complete rows; by_all: of them, those that every reader has judged."""

    knees: int
    by_all: int
    readers: list[service.studies.ReaderProgress]
    pairs: list[PairResponse]
    side_by_side: list[service.studies.ReadKnee]

    @classmethod
    def of(cls, found: service.studies.Readers) -> ReadersResponse:
        pairs = [
            PairResponse(**asdict(pair) | {"counts": [(a, b, number) for (a, b), number in pair.counts.items()]})
            for pair in found.pairs
        ]
        return cls(
            knees=found.knees,
            by_all=found.by_all,
            readers=list(found.readers),
            pairs=pairs,
            side_by_side=list(found.side_by_side),
        )


def _body(form: type[BaseModel]) -> dict[str, object]:
    """For the OpenAPI document."""
    return {"requestBody": {"content": {"application/json": {"schema": form.model_json_schema()}}}}


def add_study_routes(routes: FastAPI) -> None:
    """Add them to the interface."""
    _add_making(routes)
    _add_running(routes)
    _add_results(routes)
    add_study_map_routes(routes, TAGS)


def _add_making(routes: FastAPI) -> None:
    @routes.get("/studies", response_model=Studies, responses=documented(), tags=TAGS)
    def studies(request: Request) -> Studies:
        """All studies, and the folders whose scans they may read."""
        check_query(request.query_params, ())
        return Studies(folders=service.studies.data_folders(), studies=service.studies.studies())

    @routes.post(
        "/studies",
        status_code=201,
        response_model=service.studies.StudyView,
        responses=documented(404, 413, 422),
        openapi_extra=_body(StudyForm),
        tags=TAGS,
    )
    def create(request: Request, values: dict[str, object] = Body()) -> service.studies.StudyView:  # noqa: B008 -- FastAPI's way
        """Make a study and check its rows; nothing is analysed before `start`, unless `run` is true.

        The rows are those of a CSV manifest whose paths are in a folder that the operator allows, those that the names
        in such a folder make, or uploaded scans.
        """
        check_query(request.query_params, STUDY_FIELDS)
        check_names(values, STUDY_FIELDS)
        form = parse_body(StudyForm, values)
        check_names(form.options, OPTION_FIELDS)
        return service.studies.create(
            service.studies.StudyRequest(
                name=form.name,
                manifest=form.manifest,
                folder=form.folder,
                layout=form.layout,
                pattern=form.pattern,
                only=form.only,
                scans=None if form.scans is None else {scan.scan_id: _columns(scan) for scan in form.scans},
                options=parse_options({}, form.options).to_dict(),
                accepted=tuple(form.accepted),
                compact=form.compact,
                run=form.run,
                expiry_days=form.expiry_days,
            )
        )

    @routes.post(
        "/studies/{study_id}/rows",
        status_code=202,
        response_model=service.studies.StudyView,
        responses=documented(404, 413, 422),
        openapi_extra=_body(RowsForm),
        tags=TAGS,
    )
    def add_rows(request: Request, study_id: str, values: dict[str, object] = Body()) -> service.studies.StudyView:  # noqa: B008 -- FastAPI's way
        """Add the rows of another manifest with the same header; all rows are checked again."""
        check_query(request.query_params, ROWS_FIELDS)
        check_names(values, ROWS_FIELDS)
        return service.studies.add_rows(study_id, parse_body(RowsForm, values).manifest)

    @routes.put(
        "/studies/{study_id}/expiry",
        response_model=service.studies.StudyView,
        responses=documented(404, 422),
        openapi_extra=_body(ExpiryForm),
        tags=TAGS,
    )
    def set_expiry(request: Request, study_id: str, values: dict[str, object] = Body()) -> service.studies.StudyView:  # noqa: B008 -- FastAPI's way
        """When the study is deleted, within the limit of the operator (STUDY_EXPIRY_DAYS)."""
        check_query(request.query_params, EXPIRY_FIELDS)
        check_names(values, EXPIRY_FIELDS)
        return service.studies.set_expiry(study_id, parse_body(ExpiryForm, values).days)

    @routes.delete("/studies/{study_id}", status_code=204, responses=documented(404), tags=TAGS)
    def delete(request: Request, study_id: str) -> Response:
        """Stop a study, and delete its files and the analyses that no other study uses."""
        check_query(request.query_params, ())
        service.delete_study(study_id)
        return Response(status_code=204)


def _columns(scan: StudyScan) -> dict[str, str]:
    return {"subject": scan.subject, **(scan.__pydantic_extra__ or {})}


def _add_running(routes: FastAPI) -> None:
    @routes.get("/studies/{study_id}", response_model=service.studies.StudyView, responses=documented(404), tags=TAGS)
    def study(request: Request, study_id: str) -> service.studies.StudyView:
        """The state of a study: numbers of rows, rate, time left, failures by reason."""
        check_query(request.query_params, ())
        return service.studies.get(study_id)

    @routes.post(
        "/studies/{study_id}/start",
        status_code=202,
        response_model=service.studies.StudyView,
        responses=documented(404, 409, 422),
        openapi_extra=_body(StartForm),
        tags=TAGS,
    )
    def start(
        request: Request,
        study_id: str,
        values: dict[str, object] | None = Body(default=None),  # noqa: B008 -- FastAPI's way
    ) -> service.studies.StudyView:
        """Analyse the rows that can be; also continues a study that was paused or cancelled."""
        check_query(request.query_params, START_FIELDS)
        check_names(values or {}, START_FIELDS)
        return service.studies.start(study_id, parse_body(StartForm, values or {}).accepted)

    for name, action, meaning in (
        ("pause", service.studies.pause, "Begin no further row; those in work end."),
        ("cancel", service.studies.cancel, "Stop at once. What has ended is kept; `start` continues."),
        ("retry", service.studies.retry_failed, "Analyse again every row that has failed."),
    ):
        routes.post(
            f"/studies/{{study_id}}/{name}",
            status_code=202,
            response_model=service.studies.StudyView,
            responses=documented(404, 409),
            tags=TAGS,
            description=meaning,
            name=f"{name}_study",
        )(action)


def _add_results(routes: FastAPI) -> None:
    @routes.get(
        "/studies/{study_id}/rows",
        response_model=service.studies.RowsPage,
        responses=documented(404, 409, 422),
        tags=TAGS,
    )
    def rows(
        request: Request,
        study_id: str,
        offset: Annotated[int, Query(ge=0, le=MOST_OFFSET)] = 0,
        limit: Annotated[int, Query(ge=1, le=service.studies.MOST_ROWS_OF_A_PAGE)] = 100,
        state: Annotated[str, Query(max_length=20, description="waiting, running, analysed, failed, left_out")] = "",
        text: Annotated[str, Query(max_length=100, description="Only rows whose subject or path has it.")] = "",
    ) -> service.studies.RowsPage:
        """Rows in the order of the manifest, with what was found by the check and what became of them."""
        check_query(request.query_params, (), ("offset", "limit", "state", "text"))
        return service.studies.rows(study_id, offset=offset, limit=limit, state=state, text=text)

    @routes.get(
        "/studies/{study_id}/rows/{row}/artifacts/{name:path}",
        response_class=FileResponse,
        responses=documented(404, 409, 416) | _FILE,
        tags=TAGS,
    )
    def row_artifact(request: Request, study_id: str, row: int, name: str) -> Response:
        """One file of the results of a row: report.html, results.csv, qc/overlay.png, ..."""
        check_query(request.query_params, ())
        return artifact_response(service.studies.row_artifact(study_id, row, name), name, request.headers)

    @routes.get(
        "/studies/{study_id}/rows/{row}/thumbnail",
        response_class=FileResponse,
        responses=documented(404, 409) | {200: {"content": {"image/jpeg": {}}}},
        tags=TAGS,
    )
    def thumbnail(request: Request, study_id: str, row: int) -> Response:
        """A small picture of the outlines of a row."""
        check_query(request.query_params, (), ("v",))
        path = service.studies.thumbnail(study_id, row)
        return FileResponse(path, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @routes.get(
        "/studies/{study_id}/gallery", response_model=service.studies.Gallery, responses=documented(404, 409), tags=TAGS
    )
    def gallery(
        request: Request,
        study_id: str,
        reader: Annotated[
            str, Query(max_length=LONGEST_INITIALS, description="Initials: only reviews of this one.")
        ] = "",
    ) -> service.studies.Gallery:
        """The knees of a study in the order of what looks wrong, with reasons and reviews."""
        check_query(request.query_params, (), ("reader",))
        return service.studies.gallery(study_id, reader)

    @routes.get(
        "/studies/{study_id}/readers",
        response_model=ReadersResponse,
        responses=documented(404, 409),
        tags=TAGS,
    )
    def readers(request: Request, study_id: str) -> ReadersResponse:
        """Progress of every reader, agreement of every two with Cohen's kappa, and their judgements side by side."""
        check_query(request.query_params, ())
        return ReadersResponse.of(service.studies.readers(study_id))

    @routes.post(
        "/studies/{study_id}/rows/{row}/edit",
        status_code=201,
        response_model=VersionResponse,
        responses=documented(404, 409),
        tags=TAGS,
    )
    def edit(request: Request, study_id: str, row: int) -> VersionResponse:
        """The analysis of a row as a single job, in which its outlines can be corrected; made if there is none.

        The row follows the newest version of it (`POST /jobs/{job_id}/versions`): its numbers, and the tables.
        """
        check_query(request.query_params, ())
        job = service.edit_row(study_id, row)
        return VersionResponse(id=job.id, version=job.version)

    @routes.put(
        "/studies/{study_id}/rows/{row}/review",
        responses=documented(404, 409, 422),
        openapi_extra=_body(RowReviewForm),
        tags=TAGS,
    )
    def review(request: Request, study_id: str, row: int, values: dict[str, object] = Body()) -> dict[str, object]:  # noqa: B008 -- FastAPI's way
        """Mark the knee of a row as accepted, to be corrected or rejected; an empty state removes the mark."""
        check_query(request.query_params, ROW_REVIEW_FIELDS)
        check_names(values, ROW_REVIEW_FIELDS)
        form = parse_body(RowReviewForm, values)
        return service.studies.review(study_id, row, str(form.state), form.note, form.initials)

    @routes.get(
        "/studies/{study_id}/findings.csv",
        responses=documented(404, 409) | {200: {"content": {CSV: {}}}},
        response_class=Response,
        tags=TAGS,
    )
    def findings(request: Request, study_id: str) -> Response:
        """Every finding of the check, with its remedy."""
        check_query(request.query_params, ())
        return Response(service.studies.findings_csv(study_id), media_type=CSV)

    @routes.get(
        "/studies/{study_id}/tables/{name}",
        response_class=FileResponse,
        responses=documented(404, 416) | _FILE,
        tags=TAGS,
    )
    def table(request: Request, study_id: str, name: str) -> Response:
        """A table of the study, as it was written last: measurements.csv or .parquet, rows.csv, changes.csv, ..."""
        check_query(request.query_params, ())
        path = service.studies.table(study_id, name)
        kind = _MEDIA_TYPES.get(PurePosixPath(name).suffix, BINARY)
        return file_response(path, request.headers, kind, name, compress=kind == CSV)

    @routes.get(
        "/studies/{study_id}/tables.zip", response_class=FileResponse, responses=documented(404, 416) | _FILE, tags=TAGS
    )
    def archive(request: Request, study_id: str) -> Response:
        """All tables of the study."""
        check_query(request.query_params, ())
        path, name = service.studies.archive(study_id)
        return file_response(path, request.headers, "application/zip", name)

"""Routes for the versions of an analysis: outlines that a reader has corrected or restored."""

from __future__ import annotations

from enum import Enum
from typing import Final

from fastapi import Body, FastAPI, Request
from fastapi.responses import FileResponse, Response

from jobs import service
from jobs.intake.field_names import check_names, check_query
from jobs.intake.parts import FilePart
from jobs.intake.version_form import (
    LABEL_MAP_FORM,
    NOTE_FIELDS,
    REVIEW_FIELDS,
    VERSION_FIELDS,
    LabelMapForm,
    ReviewForm,
    VersionForm,
    VersionNote,
    parse_body,
)
from rest.answers import documented
from rest.clients import client_of
from rest.files import file_response
from rest.receive import Intake
from rest.schemas import ProlongResponse, Review, VersionResponse

TAGS: Final[list[str | Enum]] = ["versions"]


def add_version_routes(routes: FastAPI, intake: Intake) -> None:
    """Add them to the interface. intake: the places for checks of what users send."""

    @routes.get("/jobs/{job_id}/versions", response_model=list[service.Version], responses=documented(404), tags=TAGS)
    def versions(job_id: str) -> tuple[service.Version, ...]:
        """All versions of the analysis that a job is one of, oldest first."""
        return service.versions(job_id)

    @routes.post(
        "/jobs/{job_id}/versions",
        status_code=201,
        response_model=VersionResponse,
        responses=documented(404, 409, 413, 422),
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": VersionForm.model_json_schema()}}}},
        tags=TAGS,
    )
    async def save_version(request: Request, job_id: str, values: dict[str, object] = Body()) -> VersionResponse:  # noqa: B008 -- FastAPI's way
        """Save a correction of the outlines of a complete job as a new version, which is then measured.

        409 with NEWER_VERSION: another version was saved meanwhile. Send its number as `newest` to save all the same.
        """
        check_query(request.query_params, VERSION_FIELDS)
        check_names(values, VERSION_FIELDS)
        form = parse_body(VersionForm, values)
        job = await intake.check(client_of(request.scope), service.save_version, job_id, form)
        return VersionResponse(id=job.id, version=job.version)

    @routes.post(
        "/jobs/{job_id}/restore",
        status_code=201,
        response_model=VersionResponse,
        responses=documented(404, 409, 413, 422),
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": VersionNote.model_json_schema()}}}},
        tags=TAGS,
    )
    def restore_version(request: Request, job_id: str, values: dict[str, object] = Body()) -> VersionResponse:  # noqa: B008 -- FastAPI's way
        """Make an earlier version the newest again: a new version with its outlines. No version is lost."""
        check_query(request.query_params, NOTE_FIELDS)
        check_names(values, NOTE_FIELDS)
        job = service.restore_version(job_id, parse_body(VersionNote, values))
        return VersionResponse(id=job.id, version=job.version)

    @routes.post(
        "/jobs/{job_id}/labels",
        status_code=201,
        response_model=VersionResponse,
        responses=documented(404, 408, 409, 413, 422),
        openapi_extra=_label_map_form(),
        tags=TAGS,
    )
    async def save_label_map(request: Request, job_id: str) -> Response:
        """Save a label map that was corrected in another program as a new version, which is then measured."""

        def finish(form: service.FormReceiver[LabelMapForm], _: tuple[str, ...]) -> VersionResponse:
            job = service.save_label_map(job_id, form)
            return VersionResponse(id=job.id, version=job.version)

        return await intake.receive(request, finish, LABEL_MAP_FORM)

    @routes.get(
        "/jobs/{job_id}/for-editing.zip",
        response_class=FileResponse,
        responses=documented(404, 416) | {200: {"content": {"application/zip": {}}}},
        tags=TAGS,
    )
    def for_editing(request: Request, job_id: str) -> Response:
        """Scan and labels for 3D Slicer and ITK-SNAP; POST /jobs/{job_id}/labels takes them back."""
        path, name = service.editing_archive(job_id)
        return file_response(path, request.headers, "application/zip", name)

    @routes.put(
        "/jobs/{job_id}/review",
        response_model=Review | None,
        responses=documented(404, 422),
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": ReviewForm.model_json_schema()}}}},
        tags=TAGS,
    )
    def review(request: Request, job_id: str, values: dict[str, object] = Body()) -> Review | None:  # noqa: B008 -- FastAPI's way
        """Mark a result as accepted, to be corrected or rejected, with a reason; an empty state removes the mark."""
        check_query(request.query_params, REVIEW_FIELDS)
        check_names(values, REVIEW_FIELDS)
        found = service.set_review(job_id, parse_body(ReviewForm, values)).review
        return Review.model_validate(found) if found else None

    @routes.post("/jobs/{job_id}/prolong", response_model=ProlongResponse, responses=documented(404, 409), tags=TAGS)
    def prolong(request: Request, job_id: str) -> ProlongResponse:
        """Keep an analysis with all its versions longer, within the limit of the operator."""
        check_query(request.query_params, ())
        return ProlongResponse(expires_at=service.prolong(job_id).expires_at)


def _label_map_form() -> dict[str, object]:
    """For the OpenAPI document."""
    file = {"type": "string", "format": "binary", "description": "The corrected label map."}
    properties = {FilePart.LABELS.value: file} | LabelMapForm.model_json_schema()["properties"]
    schema = {"type": "object", "required": [FilePart.LABELS.value], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}

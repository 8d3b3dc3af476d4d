"""Routes for mean maps of groups of a study, and their difference."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePosixPath
from typing import Final

from fastapi import Body, FastAPI, Request
from fastapi.responses import FileResponse, Response

from jobs import service
from jobs.intake.field_names import check_names, check_query
from jobs.intake.study_form import MAPS_FIELDS, MapsForm
from jobs.intake.version_form import parse_body
from pipeline.results_tree import BINARY, CSV, PNG
from rest.answers import documented
from rest.files import file_response, packed_response
from studies.maps.names import SCENE
from studies.maps.request import MapRequest

_MEDIA_TYPES: Final = {".csv": CSV, ".png": PNG}


def add_study_map_routes(routes: FastAPI, tags: list[str | Enum]) -> None:
    """Add them to the interface."""

    @routes.post(
        "/studies/{study_id}/maps",
        status_code=202,
        response_model=service.studies.MapView,
        responses=documented(404, 409, 422),
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": MapsForm.model_json_schema()}}}},
        tags=[*tags],
    )
    def ask(request: Request, study_id: str, values: dict[str, object] = Body()) -> service.studies.MapView:  # noqa: B008 -- FastAPI's way
        """Let a worker make point-wise mean, SD and n of one group, or of two with their difference and t.

        t is exploratory: it is not corrected for multiple comparisons.
        """
        check_query(request.query_params, MAPS_FIELDS)
        check_names(values, MAPS_FIELDS)
        form = parse_body(MapsForm, values)
        return service.studies.ask_for_maps(study_id, MapRequest(**form.model_dump()))

    @routes.get(
        "/studies/{study_id}/maps/{number}",
        response_model=service.studies.MapView,
        responses=documented(404, 409),
        tags=[*tags],
    )
    def state(request: Request, study_id: str, number: int) -> service.studies.MapView:
        """Whether maps are ready, and how many knees of each group contribute to each bone."""
        check_query(request.query_params, ())
        return service.studies.maps_view(study_id, number)

    @routes.get(
        "/studies/{study_id}/maps/{number}/{name}",
        response_class=FileResponse,
        responses=documented(404, 416) | {200: {"content": {"*/*": {}}}, 206: {"content": {"*/*": {}}}},
        tags=[*tags],
    )
    def file(request: Request, study_id: str, number: int, name: str) -> Response:
        """A file of maps: arrays (npz) and tables of each bone, the picture, the rows that were left out."""
        check_query(request.query_params, (), ("v",))
        path = service.studies.map_file(study_id, number, name)
        if name == SCENE:
            return packed_response(path, name)
        kind = _MEDIA_TYPES.get(PurePosixPath(name).suffix, BINARY)
        return file_response(path, request.headers, kind, name, compress=kind == CSV)

"""The REST interface: parse, hand over to jobs.service, map errors. `uvicorn api:app`.

Routes, fields and status codes are a published contract; /docs shows them.
"""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from fastapi import Body, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from jobs import service
from jobs.form import OptionsForm, UploadForm
from jobs.schemas import (
    HealthResponse,
    StatsResponse,
    StatusBody,
    UploadResponse,
    status_body,
    upload_response,
)
from pipeline.errors import KneeError
from rest.answers import answer_errors, documented, error_response
from rest.docs_page import docs_page
from rest.files import file_response, packed_response
from rest.guard import Guard
from rest.receive import EarlyRefusal, Intake, open_receiver
from rest.wire import Wire

app = FastAPI(
    title="Open knee MRI analysis",
    description="From one knee MRI to regional cartilage thickness. Research use only. Not for clinical diagnosis.",
    version="0.1.0",
    docs_url=None,  # FastAPI's own page loads its scripts from another server
    redoc_url=None,
    redirect_slashes=False,
)
answer_errors(app)
app.add_middleware(Guard)
app.add_middleware(Wire, streamed=("/upload",))
intake: Final = Intake()


@app.post(
    "/upload",
    status_code=201,
    response_model=UploadResponse,
    responses=documented(408, 413, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {
                                "type": "string",
                                "format": "binary",
                                "description": "Knee MRI: .nii, .nii.gz, .nrrd, .dcm, or a .zip of a DICOM folder.",
                            },
                            **UploadForm.model_json_schema()["properties"],
                        },
                    }
                }
            },
        }
    },
    tags=["jobs"],
)
async def upload(request: Request) -> Any:
    """Upload a scan and start its analysis."""
    receiver: service.FormReceiver | None = None
    whole = False
    try:
        with intake.place():
            headers = request.headers
            receiver = await intake.run(
                open_receiver, headers.get("content-type", ""), headers.get("content-length", "")
            )
            await intake.fill(receiver, request)
            whole = True
            answer = upload_response(await intake.run(service.submit_form, receiver))
            return JSONResponse(answer.model_dump(), 201, {"connection": "close"})
    except BaseException as error:
        if receiver is not None:
            await intake.discard(receiver)
        if isinstance(error, KneeError) and not whole:
            answer = error_response(error)
            return EarlyRefusal(answer.body, answer.status_code, dict(answer.headers))
        if isinstance(error, ClientDisconnect):
            return Response(status_code=400)  # nobody reads it
        raise


@app.get("/status/{job_id}", response_model=StatusBody, responses=documented(404), tags=["jobs"])
def status(job_id: str) -> StatusBody:
    """Where a job stands."""
    return status_body(service.get(job_id))


@app.get(
    "/download/{job_id}",
    response_class=FileResponse,
    responses=documented(404, 416)
    | {200: {"content": {"application/zip": {}}}, 206: {"description": "The ranges asked for."}},
    tags=["results"],
)
def download(job_id: str, request: Request) -> Response:
    """The results zip of a complete job."""
    path, name = service.archive(job_id)
    return file_response(path, request.headers, "application/zip", name)


@app.get(
    "/jobs/{job_id}/measurements",
    responses=documented(404) | {200: {"content": {"application/json": {}, "text/csv": {}}}},
    tags=["results"],
)
def measurements(job_id: str, request: Request) -> Response:
    """The tidy rows: JSON, or CSV where Accept asks for text/csv."""
    rows = service.measurements(job_id)
    if "text/csv" not in request.headers.get("accept", ""):
        return JSONResponse(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return Response(text.getvalue(), media_type="text/csv")


@app.get(
    "/jobs/{job_id}/artifacts/{name:path}",
    response_class=FileResponse,
    responses=documented(404, 416)
    | {200: {"content": {"*/*": {}}}, 206: {"content": {"*/*": {}}, "description": "The ranges asked for."}},
    tags=["results"],
)
def artifact(job_id: str, name: str, request: Request) -> Response:
    """One file of the results tree; Range requests are answered, text and surfaces compressed on the way."""
    return file_response(service.artifact(job_id, name), request.headers)


@app.get(
    "/jobs/{job_id}/view/{name}",
    response_class=FileResponse,
    responses=documented(404) | {200: {"content": {"*/*": {}}}},
    tags=["results"],
)
def view(job_id: str, name: str) -> Response:
    """What the viewers of the pages read; always gzip on the wire."""
    return packed_response(service.view_file(job_id, name), name)


@app.post(
    "/jobs/{job_id}/cancel", status_code=202, response_model=StatusBody, responses=documented(404, 409), tags=["jobs"]
)
def cancel(job_id: str) -> StatusBody:
    """End a waiting or running job."""
    return status_body(service.cancel(job_id))


@app.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    response_model=StatusBody,
    responses=documented(404, 409, 413, 422),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": OptionsForm.model_json_schema()}}}},
    tags=["jobs"],
)
def retry(job_id: str, options: dict[str, Any] | None = Body(default=None)) -> StatusBody:  # noqa: B008 -- FastAPI's way
    """Run an ended job again, with the options named in the body changed; unchanged steps are kept."""
    return status_body(service.retry(job_id, options))


@app.delete("/jobs/{job_id}", status_code=204, responses=documented(404), tags=["jobs"])
def delete(job_id: str) -> Response:
    """Stop a job if it runs; delete its files and its record."""
    service.delete(job_id)
    return Response(status_code=204)


@app.get("/stats", response_model=StatsResponse, responses=documented(), tags=["service"])
def stats() -> dict[str, Any]:
    """Usage statistics."""
    return service.stats()


@app.get(
    "/health",
    response_model=HealthResponse,
    responses=documented() | {503: {"model": HealthResponse}},
    tags=["service"],
)
def health(response: Response) -> dict[str, Any]:
    """Whether jobs can be taken and worked on."""
    state = service.health()
    response.status_code = 503 if state["redis"] == "unavailable" else 200
    return state


@app.get("/models", responses=documented(), tags=["service"])
def models() -> list[dict[str, Any]]:
    """The segmentation models: what each outlines, how accurate it was measured to be, whether it is installed."""
    return service.models()


@app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def docs() -> str:
    """The interface, for people."""
    return docs_page(app.openapi())

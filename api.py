"""The REST interface: parse, hand over to jobs.service, map errors. `uvicorn api:app`.

Routes, fields and status codes are a published contract; /docs shows them.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fastapi import Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from jobs import errors, service
from jobs.form import OptionsForm, UploadForm
from jobs.schemas import (
    ErrorBody,
    HealthResponse,
    StatsResponse,
    StatusBody,
    UploadResponse,
    status_body,
    upload_response,
)
from pipeline.errors import AnalysisError, InputError, KneeError, ModelError, OptionsError
from rest.guard import Guard
from rest.receive import EarlyRefusal

STATUS_OF_ERROR: Final[tuple[tuple[type[KneeError], int], ...]] = (
    (errors.JobNotFound, 404),
    (errors.ResultNotFound, 404),
    (errors.JobNotFinished, 400),
    (errors.JobConflict, 409),
    (errors.UploadTooLarge, 413),
    (errors.StorageFull, 503),
    (errors.QueueUnavailable, 503),
    (InputError, 400),
    (OptionsError, 422),
    (AnalysisError, 500),
    (ModelError, 500),
)
"""Error family -> HTTP status; the first that fits."""

BUFFER_BYTES: Final = 1024 * 1024
"""An upload goes to the disk's thread in pieces of this size: the event loop never writes."""

COMPRESSIBLE: Final = (".vtp", ".ply", ".json", ".csv", ".html", ".txt")


def _errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorBody} for code in (*codes, 503)}


app = FastAPI(
    title="Open knee MRI analysis",
    description="From one knee MRI to regional cartilage thickness. Research use only. Not for clinical diagnosis.",
    version="0.1.0",
)


def _error_response(error: KneeError) -> JSONResponse:
    if isinstance(error, errors.InvalidForm):
        return JSONResponse({"detail": error.details}, 422)
    status = next((code for kind, code in STATUS_OF_ERROR if isinstance(error, kind)), 500)
    return JSONResponse({"detail": error.message, "error_code": error.code, "hint": error.hint}, status)


@app.exception_handler(KneeError)
async def _known_error(_: Request, error: KneeError) -> JSONResponse:
    return _error_response(error)


@app.exception_handler(Exception)
async def _unexpected_error(_: Request, __: Exception) -> JSONResponse:
    """A bug: its traceback is in the log of the server."""
    return JSONResponse({"detail": "Unexpected error.", "error_code": "INTERNAL_ERROR", "hint": "Try again."}, 500)


app.add_middleware(Guard)


@app.post(
    "/upload",
    status_code=201,
    response_model=UploadResponse,
    responses=_errors(400, 413),
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
    announced = request.headers.get("content-length", "")
    receiver, whole = None, False
    try:
        receiver = await run_in_threadpool(
            service.receive_form,
            request.headers.get("content-type", ""),
            int(announced) if announced.isdecimal() else None,
        )
        buffer = bytearray()
        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await run_in_threadpool(receiver.feed, bytes(buffer))
                buffer.clear()
        whole = True
        await run_in_threadpool(receiver.feed, bytes(buffer))
        return upload_response(await run_in_threadpool(service.submit_form, receiver))
    except BaseException as error:
        if receiver is not None:
            receiver.upload.discard()
        if isinstance(error, KneeError) and not whole:
            answer = _error_response(error)
            return EarlyRefusal(answer.body, answer.status_code, media_type=answer.media_type)
        raise


@app.get("/status/{job_id}", response_model=StatusBody, responses=_errors(404), tags=["jobs"])
def status(job_id: str) -> StatusBody:
    """Where a job stands."""
    return status_body(service.get(job_id))


@app.get(
    "/download/{job_id}",
    response_class=FileResponse,
    responses=_errors(400, 404) | {200: {"content": {"application/zip": {}}}},
    tags=["results"],
)
def download(job_id: str) -> FileResponse:
    """The results zip of a complete job."""
    path, name = service.archive(job_id)
    return FileResponse(path, filename=name, media_type="application/zip")


@app.get("/jobs/{job_id}/measurements", responses=_errors(400, 404), tags=["results"])
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
    responses=_errors(400, 404),
    tags=["results"],
)
def artifact(job_id: str, name: str, request: Request) -> Response:
    """One file of the results tree; Range requests are answered, text and surfaces compressed on the way."""
    path = service.artifact(job_id, name)
    accepted = request.headers.get("accept-encoding", "")
    if path.suffix in COMPRESSIBLE and "gzip" in accepted and "range" not in request.headers:
        sent = FileResponse(path)
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        return StreamingResponse(_compressed(path), media_type=sent.media_type, headers=headers)
    return FileResponse(path)


def _compressed(path: Path) -> Iterator[bytes]:
    """A file as gzip, in pieces."""
    sink = io.BytesIO()
    with path.open("rb") as source, gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=5, mtime=0) as packer:
        while piece := source.read(BUFFER_BYTES):
            packer.write(piece)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


@app.post(
    "/jobs/{job_id}/cancel", status_code=202, response_model=StatusBody, responses=_errors(404, 409), tags=["jobs"]
)
def cancel(job_id: str) -> StatusBody:
    """End a waiting or running job."""
    return status_body(service.cancel(job_id))


@app.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    response_model=StatusBody,
    responses=_errors(404, 409),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": OptionsForm.model_json_schema()}}}},
    tags=["jobs"],
)
def retry(job_id: str, options: dict[str, Any] | None = Body(default=None)) -> StatusBody:  # noqa: B008 -- FastAPI's way
    """Run an ended job again, with the options named in the body changed; unchanged steps are kept."""
    return status_body(service.retry(job_id, options))


@app.delete("/jobs/{job_id}", status_code=204, responses=_errors(404), tags=["jobs"])
def delete(job_id: str) -> Response:
    """Stop a job if it runs; delete its files and its record."""
    service.delete(job_id)
    return Response(status_code=204)


@app.get("/stats", response_model=StatsResponse, responses=_errors(), tags=["service"])
def stats() -> dict[str, Any]:
    """Usage statistics."""
    return service.stats()


@app.get("/health", response_model=HealthResponse, responses={503: {"model": HealthResponse}}, tags=["service"])
def health(response: Response) -> dict[str, Any]:
    """Whether jobs can be taken and worked on."""
    state = service.health()
    response.status_code = 503 if state["redis"] == "unavailable" else 200
    return state


@app.get("/models", tags=["service"])
def models() -> list[dict[str, Any]]:
    """The segmentation models: what each outlines, how accurate it was measured to be, whether it is installed."""
    return service.models()

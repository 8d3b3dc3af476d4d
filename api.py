"""The REST interface: parses requests, calls jobs.service, maps errors. Run with `uvicorn api:app`.

Routes, fields and status codes are a published contract, shown at /docs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import Body, FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from jobs import service
from jobs.access.doors import deny_by_default
from jobs.intake import study_form
from jobs.intake.field_names import OPTION_FIELDS, START_FIELDS, UPLOAD_FIELDS, check_names, check_query
from jobs.intake.form import OptionsForm, UploadForm, parse_values
from jobs.intake.version_form import MOST_BODY_BYTES
from pipeline.reference_values import reference_groups
from pipeline.results_tree import CSV, MEASUREMENTS
from rest.access import add_access_routes
from rest.access_log import AccessLog, named_by_routes
from rest.answers import answer_errors, documented
from rest.assets import Assets
from rest.clients import RequestShare, client_of
from rest.csv_table import Decimal, Format, Separator, csv_style, csv_text
from rest.docs_page import ASSETS_ROUTE, docs_page
from rest.files import artifact_response, file_response, packed_response
from rest.guard import Guard, route_path
from rest.receive import Intake, upload_form
from rest.schemas import (
    ScanResponse,
    StatusBody,
    UploadResponse,
    measurement_row,
    scan_response,
    status_body,
    upload_response,
)
from rest.sharing_routes import add_sharing_routes
from rest.sign_in import add_sign_in_routes
from rest.study_routes import add_study_routes
from rest.version_routes import add_version_routes
from rest.wire import Wire

app = FastAPI(
    title="Kneebox: knee MRI analysis",
    description="From one knee MRI to regional cartilage thickness. Research use only. Not for clinical diagnosis.",
    version="0.1.0",
    docs_url=None,  # FastAPI's page loads its scripts from another server
    redoc_url=None,
    redirect_slashes=False,
)
answer_errors(app)
deny_by_default()
app.add_middleware(Guard)
app.add_middleware(RequestShare)
LARGER: Final = {
    "/jobs/*/versions": MOST_BODY_BYTES,
    "/studies": study_form.MOST_BODY_BYTES,
    "/studies/*/rows": study_form.MOST_BODY_BYTES,
}
app.add_middleware(Wire, streamed=("/upload", "/scans", "/jobs/*/labels"), larger=LARGER)
intake: Final = Intake()

Jobs = Annotated[Sequence[str], Query(description="Id of the analysis of each visit: job=ID&job=ID&job=ID")]
Times = Annotated[
    Sequence[str],
    Query(description="Time of each scan, in the same order: dates (2021-05-31), or years after any date (1.02)"),
]
VISITS: Final = ("job", "time")


@app.post(
    "/upload",
    status_code=201,
    response_model=UploadResponse,
    responses=documented(408, 413, 422),
    openapi_extra=upload_form(UploadForm),
    tags=["jobs"],
)
async def upload(request: Request) -> Response:
    """Upload a scan, a label map or both, and start the analysis."""
    return await intake.receive(
        request,
        lambda form, warnings: upload_response(service.submit_form(form), (*warnings, *form.warnings)),
        service.UPLOAD_FORM,
    )


@app.post(
    "/scans",
    status_code=201,
    response_model=ScanResponse,
    responses=documented(408, 413, 422),
    openapi_extra=upload_form(OptionsForm, "series"),
    tags=["scans"],
)
async def keep_scan(request: Request) -> Response:
    """Upload a scan, a label map or both, and inspect the content. In one file, they are distinguished by content.

    No analysis is started; the upload is deleted after one hour.
    """
    return await intake.receive(
        request, lambda form, warnings: scan_response(service.keep_form(form), warnings), service.UPLOAD_FORM
    )


@app.get("/scans/{scan_id}", response_model=ScanResponse, responses=documented(404, 422), tags=["scans"])
async def scan(request: Request, scan_id: str, series: str = "") -> ScanResponse:
    """The content of an uploaded scan; `series` chooses one of several."""
    check_query(request.query_params, UPLOAD_FIELDS, ("series",))
    if not series:
        return scan_response(await run_in_threadpool(service.pending_scan, scan_id))
    return scan_response(await intake.check(client_of(request.scope), service.choose_series, scan_id, series))


@app.post(
    "/scans/{scan_id}/start",
    status_code=201,
    response_model=UploadResponse,
    responses=documented(404, 413, 422),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": UploadForm.model_json_schema()}}}},
    tags=["scans"],
)
def start(request: Request, scan_id: str, values: dict[str, object] | None = Body(default=None)) -> UploadResponse:  # noqa: B008 -- FastAPI's way
    """Start the analysis of an uploaded scan, with the options in the body; its id becomes the job's."""
    warnings = check_query(request.query_params, START_FIELDS) + check_names(values or {}, START_FIELDS)
    return upload_response(service.submit_scan(scan_id, parse_values(values or {})), warnings)


@app.delete("/scans/{scan_id}", status_code=204, responses=documented(404), tags=["scans"])
def discard(scan_id: str) -> Response:
    """Delete an uploaded scan that was not started."""
    service.discard_scan(scan_id)
    return Response(status_code=204)


@app.get("/status/{job_id}", response_model=StatusBody, responses=documented(404), tags=["jobs"])
def status(job_id: str) -> StatusBody:
    """The status of a job."""
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
    responses=documented(404, 422) | {200: {"content": {"application/json": {}, "text/csv": {}}}},
    tags=["results"],
)
def measurements(
    job_id: str,
    request: Request,
    format: Format = "",
    separator: Separator | None = None,
    decimal: Decimal = "point",
) -> Response:
    """The tidy rows: JSON, or CSV with `format=csv` or if Accept requests text/csv.

    A CSV has commas and decimal points; `decimal=comma` gives decimal commas and semicolons, for spreadsheets in
    languages that write them.
    """
    check_query(request.query_params, (), ("format", "separator", "decimal"))
    style = csv_style(separator, decimal)
    rows = [measurement_row(row) for row in service.measurements(job_id)]
    as_csv = format == "csv" or (not format and "text/csv" in request.headers.get("accept", ""))
    answer = Response(csv_text(rows, style), media_type=CSV) if as_csv else JSONResponse(rows)
    if format == "csv":
        answer.headers["content-disposition"] = f'attachment; filename="{MEASUREMENTS.path}"'
    return answer


@app.get(
    "/jobs/{job_id}/artifacts/{name:path}",
    response_class=FileResponse,
    responses=documented(404, 416)
    | {200: {"content": {"*/*": {}}}, 206: {"content": {"*/*": {}}, "description": "The ranges asked for."}},
    tags=["results"],
)
def artifact(job_id: str, name: str, request: Request) -> Response:
    """One file of the results tree; supports range requests; text and surfaces are compressed in transfer."""
    return artifact_response(service.artifact(job_id, name), name, request.headers)


@app.get(
    "/jobs/{job_id}/view/{name}",
    response_class=FileResponse,
    responses=documented(404) | {200: {"content": {"*/*": {}}}},
    tags=["results"],
)
def view(job_id: str, name: str) -> Response:
    """Files for the viewers of the pages; always sent as gzip."""
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
def retry(request: Request, job_id: str, options: dict[str, object] | None = Body(default=None)) -> StatusBody:  # noqa: B008 -- FastAPI's way
    """Run an ended job again, with changes to the options in the body; unchanged steps are reused."""
    warnings = check_query(request.query_params, OPTION_FIELDS) + check_names(options or {}, OPTION_FIELDS)
    return status_body(service.retry(job_id, options), warnings)


@app.post(
    "/jobs/{job_id}/copy",
    status_code=202,
    response_model=StatusBody,
    responses=documented(404, 409, 413, 422),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": OptionsForm.model_json_schema()}}}},
    tags=["jobs"],
)
def copy(request: Request, job_id: str, options: dict[str, object] | None = Body(default=None)) -> StatusBody:  # noqa: B008 -- FastAPI's way
    """Run an ended job again as another job, with changes to the options in the body: for the other knee, say."""
    warnings = check_query(request.query_params, OPTION_FIELDS) + check_names(options or {}, OPTION_FIELDS)
    return status_body(service.copy(job_id, options), warnings)


add_version_routes(app, intake)
add_study_routes(app)
add_sharing_routes(app)
add_sign_in_routes(app)


@app.delete("/jobs/{job_id}", status_code=204, responses=documented(404, 422), tags=["jobs"])
def delete(request: Request, job_id: str, versions: Literal["this", "all"] = "this") -> Response:
    """Stop a job if it runs; delete its files and its record. `versions=all` deletes every version of the analysis."""
    check_query(request.query_params, (), ("versions",))
    if versions == "all":
        service.delete_versions(job_id)
    else:
        service.delete(job_id)
    return Response(status_code=204)


@app.get(
    "/compare/{first_id}/{second_id}",
    response_model=service.JobComparison,
    responses=documented(404),
    tags=["comparisons"],
)
def comparison(first_id: str, second_id: str) -> service.JobComparison:
    """The differences between two complete analyses; the first request takes some seconds."""
    return service.comparison(first_id, second_id)


@app.get(
    "/compare/{first_id}/{second_id}/changes.csv",
    response_class=FileResponse,
    responses=documented(404, 416)
    | {200: {"content": {"text/csv": {}}}, 206: {"content": {"text/csv": {}}, "description": "The ranges asked for."}},
    tags=["comparisons"],
)
def changes(first_id: str, second_id: str, request: Request) -> Response:
    """The comparison as a tidy table."""
    return file_response(
        service.comparison_table(first_id, second_id), request.headers, CSV, "changes.csv", compress=True
    )


@app.get(
    "/compare/{first_id}/{second_id}/view/{name}",
    response_class=FileResponse,
    responses=documented(404) | {200: {"content": {"*/*": {}}}},
    tags=["comparisons"],
)
def comparison_view(first_id: str, second_id: str, name: str) -> Response:
    """The file for the viewer of the pages (scene.bin); always sent as gzip."""
    return packed_response(service.comparison_view(first_id, second_id, name), name)


@app.get("/series", response_model=service.JobSeries, responses=documented(404), tags=["comparisons"])
def series(request: Request, job: Jobs = (), time: Times = ()) -> service.JobSeries:
    """Three and more complete analyses of one knee against time; the first request takes some seconds.

    Every bone is registered to that of the earliest visit. The order in which the analyses are given changes nothing.
    """
    check_query(request.query_params, (), VISITS)
    return service.series(job, time)


@app.get(
    "/series/trends.csv",
    response_class=FileResponse,
    responses=documented(404, 416)
    | {200: {"content": {"text/csv": {}}}, 206: {"content": {"text/csv": {}}, "description": "The ranges asked for."}},
    tags=["comparisons"],
)
def trends(request: Request, job: Jobs = (), time: Times = ()) -> Response:
    """The series as a tidy table, with one column for each visit."""
    check_query(request.query_params, (), VISITS)
    return file_response(service.series_table(job, time), request.headers, CSV, "trends.csv", compress=True)


@app.get(
    "/series/view/{name}",
    response_class=FileResponse,
    responses=documented(404) | {200: {"content": {"*/*": {}}}},
    tags=["comparisons"],
)
def series_view(request: Request, name: str, job: Jobs = (), time: Times = ()) -> Response:
    """The file for the viewer of the pages (scene.bin); always sent as gzip."""
    check_query(request.query_params, (), VISITS)
    return packed_response(service.series_view(job, time, name), name)


add_access_routes(app)


@app.get("/stats", response_model=service.Stats, responses=documented(), tags=["service"])
def stats() -> service.Stats:
    """Usage statistics."""
    return service.stats()


@app.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=documented() | {200: {"content": {"text/plain": {}}}},
    tags=["service"],
)
def metrics() -> Response:
    """Figures of the whole service for Prometheus."""
    from rest.metrics import CONTENT_TYPE, metrics_text  # not needed without monitoring

    return Response(metrics_text(service.metrics()), media_type=CONTENT_TYPE)


@app.get(
    "/health",
    response_model=service.Health,
    responses=documented() | {503: {"model": service.Health}},
    tags=["service"],
)
def health(response: Response) -> service.Health:
    """Whether jobs can be accepted and processed."""
    state = service.health()
    response.status_code = 503 if state.redis == "unavailable" else 200
    return state


@app.get("/live", responses=documented(), tags=["service"])
async def live() -> dict[str, bool]:
    """Whether this process answers; Redis and workers are not asked. Whether it can accept jobs: /health."""
    return {"live": True}


@app.get("/models", responses=documented(), tags=["service"])
def models() -> list[dict[str, object]]:
    """The segmentation models, then the shape models: purpose, measured accuracy and availability of each."""
    return [model.public() for model in service.models()] + [model.public() for model in service.shape_models()]


@app.get("/reference-values", responses=documented(), tags=["service"])
def reference_values() -> list[dict[str, object]]:
    """Published values of groups of people, to be shown beside measurements; they are no diagnosis."""
    return [group.to_dict() for group in reference_groups()]


@app.get("/docs", include_in_schema=False)
def docs() -> Response:
    """The interface as an interactive page."""
    return docs_page(app.title)


app.mount(ASSETS_ROUTE, Assets(Path(__file__).resolve().parent / "ui" / "assets"))
app.add_middleware(AccessLog, name_of=named_by_routes(app.routes, route_path))

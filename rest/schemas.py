"""Request and response bodies of the REST interface: a published contract; fields are never removed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from jobs.service import PendingScan
from jobs.state.model import JobView, Status
from pipeline.progress import StepRecord
from pipeline.review_state import ReviewState
from pipeline.types import Measurement
from pipeline.upload_facts import LabelMapFacts


class ErrorBody(BaseModel):
    """An error: problem, found, expected; a code for programs; a hint."""

    detail: str
    error_code: str = ""
    hint: str = ""


class FormError(BaseModel):
    """One invalid form value; loc: its location."""

    type: str
    loc: list[str | int]
    msg: str


class FormErrors(BaseModel):
    """All invalid form values, in FastAPI's format.

    error_code, hint: where an option does not fit the others or the scan
    """

    detail: list[FormError]
    error_code: str = ""
    hint: str = ""


class UploadResponse(BaseModel):
    """A waiting job."""

    job_id: str
    status: Literal[Status.QUEUED]
    queue_position: int
    estimated_wait_seconds: int
    message: str
    warnings: list[str] = []


class SeriesChoice(BaseModel):
    """One of several series in an upload; `series` chooses it."""

    series: str
    description: str
    slices: int
    rows: int
    columns: int
    plane: str
    echoes: int


class LabelReading(BaseModel):
    """How a label map is read with one numbering; `refusal` says why it cannot be."""

    numbering: str
    decided: str
    structures: dict[int, str]
    refusal: str


class LabelMapResponse(BaseModel):
    """A label map in an upload; shape and spacing_mm are (z, y, x). The first reading is that of `auto`.

    off_grid: how its voxels differ from those of the scan; it is then measured only with `resample_labels`.
    """

    filename: str
    shape: list[int]
    spacing_mm: list[float]
    volume_mm3: dict[int, float]
    readings: list[LabelReading]
    warnings: list[str]
    off_grid: str


class ScanResponse(BaseModel):
    """An upload awaiting confirmation.

    shape and spacing_mm are (z, y, x). While one of several series must be chosen, and for a label map without a scan,
    they are null. `choices` lists the series; `labels` describes the label map.
    """

    scan_id: str
    filename: str
    size_bytes: int
    series: str
    shape: list[int] | None
    spacing_mm: list[float] | None
    plane: str
    sequence: str
    echoes: int
    echo_times_ms: list[float]
    side: str | None
    t2_unavailable: str
    warnings: list[str]
    choices: list[SeriesChoice]
    labels: LabelMapResponse | None = None


class StatusQueued(BaseModel):
    """The job waits."""

    job_id: str
    status: Literal[Status.QUEUED]
    queue_position: int
    estimated_wait_seconds: int
    warnings: list[str] = []


class StatusProcessing(BaseModel):
    """The job is running."""

    job_id: str
    status: Literal[Status.PROCESSING]
    progress_percent: int
    current_step: int
    total_steps: int
    step_name: str
    elapsed_seconds: int
    estimated_remaining_seconds: int
    steps: list[StepRecord]


class StatusComplete(BaseModel):
    """The results can be downloaded."""

    job_id: str
    status: Literal[Status.COMPLETE]
    download_url: str
    result_size_bytes: int
    processing_time_seconds: int
    warnings: list[str]


class StatusError(BaseModel):
    """The job ended without results; CANCELLED if it was cancelled.

    offers: option -> values with which it can be run again (POST /jobs/{job_id}/retry, or copy for another job)
    """

    job_id: str
    status: Literal[Status.ERROR]
    error_message: str
    error_code: str
    hint: str
    offers: dict[str, list[str]]


class VersionResponse(BaseModel):
    """A new version, which is being measured: GET /status/{id}."""

    id: str
    version: int


class ProlongResponse(BaseModel):
    """Until when an analysis is kept."""

    expires_at: datetime | None


class Review(BaseModel):
    """A reader's judgement of a result."""

    state: ReviewState | Literal[""]
    reason: str
    at: str


StatusBody = StatusQueued | StatusProcessing | StatusComplete | StatusError


def upload_response(job: JobView, warnings: Iterable[str] = ()) -> UploadResponse:
    """The response of POST /upload; warnings: about the request."""
    return UploadResponse(
        job_id=job.id,
        status=Status.QUEUED,
        queue_position=max(1, job.queue_position),
        estimated_wait_seconds=job.estimated_wait_seconds,
        message=f"File uploaded successfully. You are #{max(1, job.queue_position)} in queue.",
        warnings=list(warnings),
    )


def status_body(job: JobView, warnings: Iterable[str] = ()) -> StatusBody:
    """The response of GET /status: one of four schemas; warnings: about the request that queued the job."""
    match job.status:
        case Status.QUEUED:
            return StatusQueued(
                job_id=job.id,
                status=Status.QUEUED,
                queue_position=job.queue_position,
                estimated_wait_seconds=job.estimated_wait_seconds,
                warnings=list(warnings),
            )
        case Status.PROCESSING:
            return StatusProcessing(
                job_id=job.id,
                status=Status.PROCESSING,
                progress_percent=job.progress_percent,
                current_step=job.current_step,
                total_steps=job.total_steps,
                step_name=job.step_name or "Starting",
                elapsed_seconds=job.elapsed_seconds,
                estimated_remaining_seconds=job.estimated_remaining_seconds,
                steps=list(job.steps),
            )
        case Status.COMPLETE:
            return StatusComplete(
                job_id=job.id,
                status=Status.COMPLETE,
                download_url=f"/download/{job.id}",
                result_size_bytes=job.result_size_bytes,
                processing_time_seconds=job.elapsed_seconds,
                warnings=list(job.warnings),
            )
        case Status.ERROR:
            return StatusError(
                job_id=job.id,
                status=Status.ERROR,
                error_message=job.error_message or "Unknown error",
                error_code=job.error_code or "UNKNOWN",
                hint=job.hint,
                offers=job.offers,
            )


def scan_response(scan: PendingScan, warnings: Iterable[str] = ()) -> ScanResponse:
    """The response for a waiting upload; warnings: about the query."""
    facts = scan.scan
    return ScanResponse(
        scan_id=scan.id,
        filename=scan.filename,
        size_bytes=scan.size_bytes,
        series=scan.series,
        shape=list(facts.shape) if facts else None,
        spacing_mm=list(facts.spacing_mm) if facts else None,
        plane=facts.plane if facts else "",
        sequence=facts.sequence if facts else "",
        echoes=facts.echoes if facts else 0,
        echo_times_ms=list(facts.echo_times_ms) if facts else [],
        side=facts.side if facts else None,
        t2_unavailable=facts.t2_unavailable if facts else "",
        warnings=[*(facts.warnings if facts else ()), *scan.warnings, *warnings],
        choices=[SeriesChoice.model_validate(choice) for choice in scan.choices],
        labels=None if scan.labels is None else _label_map_response(scan.labels),
    )


def _label_map_response(labels: LabelMapFacts) -> LabelMapResponse:
    return LabelMapResponse(
        filename=labels.filename,
        shape=list(labels.shape),
        spacing_mm=list(labels.spacing_mm),
        volume_mm3=dict(labels.volume_mm3),
        readings=[
            LabelReading(
                numbering=reading.requested,
                decided=reading.decided,
                structures={label: s.key for label, s in reading.structures.items() if s is not None},
                refusal=reading.refusal,
            )
            for reading in labels.readings
        ],
        warnings=list(labels.warnings),
        off_grid=labels.off_grid,
    )


def measurement_row(row: Measurement) -> dict[str, object]:
    """A row of the measurements as JSON values; `value` is null where there was nothing to measure."""
    return asdict(row) | {"value": row.value if math.isfinite(row.value) else None}

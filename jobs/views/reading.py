"""Read access to jobs and their results. The only change is the repair of records that contradict RQ."""

from __future__ import annotations

from pathlib import Path

from jobs.access.held import Held, HeldKind
from jobs.access.projects import projects_of
from jobs.access.viewer import viewer
from jobs.errors import JobNotFinished, JobNotFound, ResultNotFound
from jobs.state.backend import Backend, open_backend
from jobs.state.lifecycle import contradicted
from jobs.state.model import JobRecord, JobView, Status
from jobs.state.queue import queue_errors
from jobs.state.reconciler import repair_job
from jobs.state.statistics import Stats
from jobs.state.store import Snapshot
from jobs.views.forecast import Forecast
from jobs.views.view import view
from pipeline.products import FLAGS, MEASUREMENTS
from pipeline.results_tree import RESULTS, view_file_in
from pipeline.types import Measurement
from pipeline.workspace import Workspace


@queue_errors()
def get(job_id: str) -> JobView:
    """The current state of a job; a record that contradicts RQ is repaired first. Raises JobNotFound."""
    backend = open_backend()
    snapshot = _snapshot(backend, job_id)
    if contradicted(snapshot):
        repair_job(backend, job_id)
        snapshot = _snapshot(backend, job_id)
    return view(snapshot, Forecast(backend))


@queue_errors()
def recent(limit: int = 50) -> list[JobView]:
    """The newest jobs, newest first."""
    backend = open_backend()
    forecast = Forecast(backend)
    records = backend.store.recent(limit)
    places = backend.store.positions([record.id for record in records if record.status is Status.QUEUED])
    return [
        view(Snapshot(record=record, position=places.get(record.id), rq_status=None), forecast) for record in records
    ]


@queue_errors()
def held_job(job_id: str) -> Held:
    """To whom a job belongs. Raises JobNotFound."""
    backend = open_backend()
    backend.storage.folder(job_id)
    record = backend.store.load(job_id)
    if record is None:
        raise not_found()
    return Held(kind=HeldKind.JOB, id=job_id, owner=record.owner, group=record.family, missing=not_found)


@queue_errors()
def mine(limit: int = 500) -> list[str]:
    """Ids of the newest jobs of the person who asks and of their projects, the newest first."""
    who = viewer().person
    store = open_backend().store
    owners = [who, *(project.id for project in projects_of(who))] if who else []
    records = [record for owner in owners for record in store.owned(owner, limit)]
    records.sort(key=lambda record: record.created_at.timestamp() if record.created_at else 0.0, reverse=True)
    return [record.id for record in records[:limit]]


def results_folder(job_id: str) -> Path:
    """The unpacked tree of the results zip. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    backend = open_backend()
    folder = published(backend, job_id).files_dir
    if not folder.is_dir():
        raise results_gone()
    return folder


def archive(job_id: str) -> tuple[Path, str]:
    """The results zip and its download name. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    backend = open_backend()
    record = finished(backend, job_id)
    path = backend.storage.file_of(job_id, record.result_path) if record.result_path else None
    if path is None:
        raise results_gone()
    return path, record.archive_name


def artifact(job_id: str, name: str) -> Path:
    """One file of the results tree, by its relative name. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    folder = results_folder(job_id).resolve()
    try:
        path = (folder / name).resolve()
        if path.is_relative_to(folder) and path.is_file():
            return path
    except (OSError, ValueError):  # a name that is invalid in the file system
        pass
    raise ResultNotFound("There is no such file among the results.", hint=f"{RESULTS.path} lists the measurements.")


def view_file(job_id: str, name: str) -> Path:
    """Path of a viewer file (`scene.bin`), stored as gzip. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    path = view_file_in(published(open_backend(), job_id).view_dir, name)
    if path is None:
        raise ResultNotFound("There is no such file for the viewers.", hint="Run the analysis again.")
    return path


def measurements(job_id: str) -> tuple[Measurement, ...]:
    """The rows of results.csv, with the use that the flags leave them.

    Raises JobNotFound, JobNotFinished, ResultNotFound.
    """
    workspace = published(open_backend(), job_id)
    try:
        flags = FLAGS.load(workspace)
        return tuple(row.judged(flags) for row in MEASUREMENTS.load(workspace))
    except FileNotFoundError:
        raise results_gone() from None


@queue_errors()
def stats() -> Stats:
    """Usage so far."""
    backend = open_backend()
    return backend.statistics.summary(backend.queue.length())


def _snapshot(backend: Backend, job_id: str) -> Snapshot:
    backend.storage.folder(job_id)
    snapshot = backend.store.snapshot(job_id)
    if snapshot is None:
        raise not_found()
    return snapshot


def finished(backend: Backend, job_id: str) -> JobRecord:
    """The record of a complete job. Raises JobNotFound, JobNotFinished."""
    backend.storage.folder(job_id)
    with queue_errors():
        record = backend.store.load(job_id)
    if record is None:
        raise not_found()
    if record.status is not Status.COMPLETE:
        raise JobNotFinished(f"Job not complete. Current status: {record.status}.")
    return record


def published(backend: Backend, job_id: str) -> Workspace:
    """The workspace with the results of a complete job. Raises JobNotFound, JobNotFinished."""
    return backend.storage.workspace(job_id, finished(backend, job_id).attempt)


def not_found() -> JobNotFound:
    """The error for an id without a job."""
    return JobNotFound("Job not found.", hint="Check the job ID; jobs are deleted when they expire.")


def results_gone() -> ResultNotFound:
    """The error for a complete job with missing files."""
    return ResultNotFound("The results of this job no longer exist.", hint="Upload the scan again.")

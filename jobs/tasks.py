"""What a worker runs: one analysis of one job, from claim to final state."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from jobs.backend import Backend, backend
from jobs.errors import AttemptSuperseded, QueueUnavailable
from jobs.lifecycle import completed, ended, results_on_disk
from jobs.logs import job_log
from jobs.model import JobRecord, Status, now
from jobs.processes import die_with_parent
from jobs.queue import JOB_TIMEOUT_S, JobTimedOut, queue_errors
from jobs.retention import keep_for_research
from pipeline.errors import KneeError
from pipeline.options import AnalysisOptions
from pipeline.types import Progress, Request, Resources, StepRecord, StepState

PROGRESS_INTERVAL_S: Final = 0.5

log = logging.getLogger(__name__)


def run_job(job_id: str) -> None:
    """Analyse a job's upload and bring its record to a final state.

    A job that has ended, or whose results are already whole, is not run again. Raises QueueUnavailable where the end
    cannot be written: RQ then runs the job once more, and the manifest tells that it is complete.
    """
    die_with_parent()
    here = backend()
    record = _claim(here, job_id)
    if record is None:
        log.info("job %s has ended or is gone: nothing to do", job_id)
        return
    with job_log(here.storage.workspace(job_id).log_path):
        log.info("job %s: attempt %d", job_id, record.attempt)
        changes = results_on_disk(here.storage, job_id) or _analyse(here, record)
        if changes is not None:
            _end(here, record, changes)


@queue_errors()
def _claim(here: Backend, job_id: str) -> JobRecord | None:
    """Take the next attempt of a job; from now on older attempts cannot write."""

    def decide(record: JobRecord) -> dict[str, Any] | None:
        if record.status.final:
            return None
        return {
            "status": Status.PROCESSING,
            "attempt": record.attempt + 1,
            "started_at": record.started_at or now(),
            "step_name": record.step_name or "Starting",
        }

    record, claimed = here.store.change(job_id, decide)
    return record if claimed else None


def _analyse(here: Backend, record: JobRecord) -> dict[str, Any] | None:
    """Run the analysis; -> the fields of the final record, or None where somebody else has ended the job."""
    progress = _ProgressWriter(here, record)
    try:
        return _run(here, record, progress)
    except AttemptSuperseded:
        log.info("job %s was cancelled or taken over: stopped", record.id)
        return None
    except KneeError as error:
        log.warning("job %s: %s (%s)", record.id, error.code, error.message)
        ending = ended(error.code, error.message, error.hint)
    except JobTimedOut:
        log.exception("job %s: too slow", record.id)
        ending = ended("TIMEOUT", f"The analysis took more than {JOB_TIMEOUT_S // 60} minutes and was stopped.")
    except MemoryError:
        log.exception("job %s: out of memory", record.id)
        ending = ended("OUT_OF_MEMORY", "The server ran out of memory.", "Try again later, or crop the scan.")
    except Exception:  # the one place where a bug becomes a job's end: the worker goes on
        log.exception("job %s: unexpected error", record.id)
        ending = ended("INTERNAL_ERROR", f"Unexpected error, job {record.id}.", "Report the job ID to the operator.")
    return ending | {"steps": progress.steps_after_failure(str(ending["error_message"]))}


def _run(here: Backend, record: JobRecord, progress: _ProgressWriter) -> dict[str, Any]:
    from pipeline.run import run_analysis

    workspace = here.storage.workspace(record.id)
    summary = run_analysis(
        workspace,
        AnalysisOptions.from_dict(record.options),
        Resources(models_dir=here.settings.models_dir, device=here.settings.device),
        Request(input_name=record.input_filename, scan=Path(record.input_path).name),
        progress.write,
    )
    return completed(
        steps=[step_dict(step) for step in summary.steps],
        warnings=list(summary.warnings),
        archive=str(workspace.archive_path),
        archive_bytes=summary.archive_bytes,
    )


@queue_errors()
def _end(here: Backend, record: JobRecord, changes: dict[str, Any]) -> None:
    """Write the final state; the upload goes, and the address with it."""
    if not here.store.merge(record.id, record.attempt, changes):
        log.info("job %s was ended by somebody else", record.id)
        return
    here.storage.remove_upload(record.id)
    final = here.store.load(record.id)
    if final is not None:
        here.storage.write_record(final)
        keep_for_research(here.storage, final)
    if changes["status"] is Status.COMPLETE and record.started_at is not None:
        here.statistics.record_complete((changes["completed_at"] - record.started_at).total_seconds())
    log.info("job %s: %s", record.id, changes["status"])


class _ProgressWriter:
    """Progress -> record and RQ's meta: at every change of step, else twice a second at most."""

    def __init__(self, here: Backend, record: JobRecord) -> None:
        self._here = here
        self._record = record
        self._written = 0.0
        self._states: tuple[str, ...] = ()
        self._steps: tuple[StepRecord, ...] = ()

    def write(self, progress: Progress) -> None:
        """Raises AttemptSuperseded where the job has ended or moved on meanwhile: the analysis stops."""
        self._steps = progress.steps
        states = (progress.name, *(step.state for step in progress.steps))
        moment = time.monotonic()
        if states == self._states and moment - self._written < PROGRESS_INTERVAL_S:
            return
        self._states, self._written = states, moment
        changes: dict[str, Any] = {
            "progress_percent": min(99, progress.percent),
            "current_step": progress.index,
            "total_steps": progress.total,
            "step_name": progress.title,
            "steps": [step_dict(step) for step in progress.steps],
        }
        try:
            with queue_errors():
                accepted = self._here.store.merge(self._record.id, self._record.attempt, changes)
                self._here.queue.write_meta(self._record.id, changes)
        except QueueUnavailable:
            log.warning("job %s: progress could not be written", self._record.id)
            return
        if not accepted:
            raise AttemptSuperseded("The job has ended or is another attempt's.")

    def steps_after_failure(self, reason: str) -> list[dict[str, Any]]:
        """The steps as they stood, the one at work failed."""
        return [
            step_dict(replace(step, state=StepState.FAILED, reason=reason) if step.state is StepState.RUNNING else step)
            for step in self._steps
        ]


def step_dict(step: StepRecord) -> dict[str, Any]:
    """A step as records and routes show it."""
    return asdict(step) | {"state": str(step.state)}

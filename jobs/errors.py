"""Errors about jobs; the errors of the analysis are in pipeline/errors.py."""

from __future__ import annotations

from pipeline.errors import InputError, KneeError


class JobError(KneeError):
    """Base class of the errors about jobs."""


class JobNotFound(JobError):
    """No job has this id: it never existed, was deleted, or has expired."""


class ScanNotFound(JobError):
    """No uploaded scan with this id awaits confirmation: it was started or discarded, or has expired."""


class JobNotFinished(JobError):
    """The requested data exists only when the job is complete."""


class ResultNotFound(JobError):
    """The job is complete, but this file is not (or no longer) among its results."""


class JobConflict(JobError):
    """The job's state does not allow this: cancelling an ended job, retrying a running one."""


class QueueUnavailable(JobError):
    """Redis is unreachable, or rejects writes."""


class StorageFull(JobError):
    """The data directory has no space for another upload."""


class UploadTooLarge(JobError):
    """The upload exceeds MAX_UPLOAD_SIZE_MB."""


class InvalidUpload(InputError):
    """The upload is not a file of an accepted type: wrong extension, empty file, or invalid form."""


class InvalidForm(JobError):
    """Invalid form values; `details` lists them in FastAPI's format."""

    def __init__(self, details: list[dict[str, object]]) -> None:
        super().__init__("Some form values are not valid.")
        self.details = details


class AttemptSuperseded(JobError):
    """The job of an attempt was cancelled, deleted or taken over by another attempt: the work stops and nothing is
    written.
    """


class ServerBusy(JobError):
    """The server has reached its maximum number of simultaneous uploads or comparisons."""


class ComparisonFailed(JobError):
    """The process that compares two jobs ended without a result."""


class UploadTooSlow(JobError):
    """Client time-out: the client stopped sending, or sends more slowly than the minimum rate."""

"""What can go wrong around a job; the analysis' own errors are in pipeline/errors.py."""

from __future__ import annotations

from pipeline.errors import InputError, KneeError


class JobError(KneeError):
    """Root of the errors about jobs."""


class JobNotFound(JobError):
    """No job has this id: it never existed, was deleted, or has expired."""


class ScanNotFound(JobError):
    """No uploaded scan waits under this id: it was started, discarded, or its time was over."""


class JobNotFinished(JobError):
    """What was asked for exists only when the job is complete."""


class ResultNotFound(JobError):
    """The job is complete, but this file is not (or no longer) among its results."""


class JobConflict(JobError):
    """The job's state does not allow this: cancelling what has ended, retrying what runs."""


class QueueUnavailable(JobError):
    """Redis cannot be reached, or refuses writes."""


class StorageFull(JobError):
    """The data directory has no room for another upload."""


class UploadTooLarge(JobError):
    """The upload passes MAX_UPLOAD_SIZE_MB."""


class InvalidUpload(InputError):
    """The upload is no file of an accepted kind: wrong extension, empty, or a broken form."""


class InvalidForm(JobError):
    """Form values outside their bounds; `details` lists them the way FastAPI does."""

    def __init__(self, details: list[dict[str, object]]) -> None:
        super().__init__("Some form values are not valid.")
        self.details = details


class AttemptSuperseded(JobError):
    """The job of an attempt was cancelled, deleted or given to another attempt: the work stops, nothing is written."""


class ServerBusy(JobError):
    """As many uploads, or comparisons, are under way as this server takes at once."""


class ComparisonFailed(JobError):
    """The process that compares two jobs ended without an answer."""


class UploadTooSlow(JobError):
    """The client stopped sending, or sends so slowly that it would hold its place for hours."""

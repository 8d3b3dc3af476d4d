"""Errors about jobs; the errors of the analysis are in pipeline/errors.py."""

from __future__ import annotations

from pipeline.errors import InputError, KneeError


class JobError(KneeError):
    """Base class of the errors about jobs."""


class JobNotFound(JobError):
    """No job has this id: it never existed, was deleted, or has expired."""

    next_step = "Check the job ID. Jobs are deleted when they expire."


class ScanNotFound(JobError):
    """No uploaded scan with this id awaits confirmation: it was started or discarded, or has expired."""

    next_step = "Upload the scan again."


class JobNotFinished(JobError):
    """The requested data exists only when the job is complete."""

    next_step = "Ask again when the job is complete."


class ResultNotFound(JobError):
    """The job is complete, but this file is not (or no longer) among its results."""

    next_step = "Upload the scan again."


class JobConflict(JobError):
    """The job's state does not allow this: cancelling an ended job, retrying a running one."""

    next_step = "Reload the job and try again."


class NewerVersion(JobConflict):
    """A correction was made without knowledge of a version that was saved meanwhile, as from a second tab."""

    next_step = "Open the newest version, or save all the same."


class StudyNotFound(JobError):
    """No study has this id: it never existed, was deleted, or has expired."""

    next_step = "List the studies."


class StudyConflict(JobError):
    """The state of the study does not allow this: running it before its check has ended, say."""

    next_step = "Ask for the state of the study."


class NotAllowed(JobError):
    """The viewer may see this, but not change it; or has to sign in first."""

    next_step = "Ask an owner."


class ProjectNotFound(JobError):
    """No project has this id, or the viewer is no member of it."""

    next_step = "List your projects."


class LinkNotFound(JobError):
    """No link has this secret: it was revoked or used, or has ended."""

    next_step = "Ask for a new link."


class SignInOff(JobError):
    """People do not sign in to this server, so nothing belongs to anybody."""

    next_step = "The operator can set SIGN_IN_ISSUER."


class AuditBroken(JobError):
    """The audit log was changed after it was written."""

    next_step = "Compare the log with a backup."


class SignInFailed(JobError):
    """The provider did not confirm who this is, or the server does not admit them."""

    next_step = "Sign in again."


class QueueUnavailable(JobError):
    """Redis is unreachable, or rejects writes."""

    next_step = "Try again in a minute."


class StorageFull(JobError):
    """The data directory has no space for another upload."""

    next_step = "Try again later."


class UploadTooLarge(JobError):
    """The upload exceeds MAX_UPLOAD_SIZE_MB."""

    next_step = "Upload one series only, or compress it."


class InvalidUpload(InputError):
    """The upload is not a file of an accepted type: wrong extension, empty file, or invalid form."""

    next_step = "Upload one scan, or a zip of its files."


class InvalidForm(JobError):
    """Invalid form values; `details` lists them in FastAPI's format."""

    next_step = "Correct the fields that are named."

    def __init__(self, details: list[dict[str, object]]) -> None:
        super().__init__("Some form values are not valid.")
        self.details = details


class AttemptSuperseded(JobError):
    """The job of an attempt was cancelled, deleted or taken over by another attempt: the work stops and nothing is
    written.
    """


class ServerBusy(JobError):
    """The server has reached its maximum number of simultaneous uploads or comparisons."""

    next_step = "Try again in a minute."


class ClientBusy(JobError):
    """One client has reached its share of uploads, checks, requests or WebSockets; others still have access."""

    next_step = "Wait until earlier ones have ended, then try again."


class ComparisonFailed(JobError):
    """The process that compares two jobs ended without a result."""

    next_step = "Try again."


class WorkerNotFound(JobError):
    """No live worker, or more than one, has this name."""

    next_step = "List the workers."


class BackupInvalid(JobError):
    """A backup is incomplete or damaged, or was made by a later version."""

    next_step = "Use another backup."


class BackupFailed(JobError):
    """A backup could not be written or unpacked, for example because the disk is full."""

    next_step = "Check the free disk space and the permissions."


class UploadTooSlow(JobError):
    """Client time-out: the client stopped sending, or sends more slowly than the minimum rate."""

    next_step = "Try a faster connection."

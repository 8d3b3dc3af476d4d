"""Deletes studies: with their rows, and with the single jobs in which outlines of rows were corrected."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from jobs.access import audit
from jobs.access.audit import Act
from jobs.access.held import HeldKind
from jobs.control.cancelling import delete_versions
from jobs.errors import JobNotFound, StudyNotFound
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.queue import queue_errors
from jobs.studies import operations
from jobs.studies.folder import StudyFolder, study_folders


@queue_errors()
def delete_study(study_id: str) -> None:
    """Stop a study and delete it, with the analyses that no other study uses and all corrected versions of its rows.

    Raises StudyNotFound.
    """
    folder = StudyFolder(open_backend().settings.data_dir, study_id)
    folder.record()
    delete_edited(entry.job for entry in folder.editing().values())  # first: the study names them
    operations.delete(study_id)


def delete_edited(jobs: Iterable[str]) -> int:
    """Delete these jobs with all their versions; returns the number of versions."""
    number = 0
    for job_id in sorted(set(jobs)):
        with contextlib.suppress(JobNotFound):  # it has expired
            number += delete_versions(job_id)
    return number


def remove_expired_studies(backend: Backend) -> list[str]:
    """Delete the studies whose retention time has passed; returns their ids. Raises QueueUnavailable."""
    gone = []
    for folder in study_folders(backend.settings.data_dir):
        with contextlib.suppress(StudyNotFound):
            ends = folder.record().expires_at
            if ends is not None and ends < now():
                delete_study(folder.id)
                audit.note_of_server(Act.DELETED, f"{HeldKind.STUDY}:{folder.id}", "expired")
                gone.append(folder.id)
    return gone

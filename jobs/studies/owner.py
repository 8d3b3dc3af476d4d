"""To whom a study belongs."""

from __future__ import annotations

from jobs.access.held import Held, HeldKind
from jobs.errors import StudyNotFound
from jobs.settings import load_settings
from jobs.studies.folder import StudyFolder


def held_study(study_id: str) -> Held:
    """For the check of rights. Raises StudyNotFound."""
    record = StudyFolder(load_settings().data_dir, study_id).record()
    return Held(kind=HeldKind.STUDY, id=study_id, owner=record.owner, missing=_missing)


def give_study(study_id: str, owner: str) -> None:
    """Make it belong to a person or a project. Raises StudyNotFound."""
    StudyFolder(load_settings().data_dir, study_id).change(lambda _: {"owner": owner})


def _missing() -> StudyNotFound:
    return StudyNotFound("There is no such study.")

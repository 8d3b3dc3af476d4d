"""Who else may see an analysis or a study: links to it, and the project that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.access import audit, keys, sessions
from jobs.access.audit import Act
from jobs.access.files import Kind, remove
from jobs.access.held import Held, HeldKind
from jobs.access.links import Link, link, links_of, make_link, remove_links, revoke_link
from jobs.access.links import open_link as open_by_secret
from jobs.access.people import Person, people, person
from jobs.access.projects import Role, delete_project, not_found, project, projects_of, remove_member
from jobs.access.viewer import viewer
from jobs.errors import JobConflict, JobError, LinkNotFound, NotAllowed
from jobs.state.backend import Backend, open_backend
from jobs.state.queue import queue_errors
from jobs.studies.folder import StudyFolder, study_folders
from jobs.studies.owner import give_study, held_study
from jobs.views.reading import held_job


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A project of somebody, and their role in it."""

    id: str
    name: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who asks. person: empty for the operator and for a browser with a link"""

    person: str
    name: str
    email: str
    operator: bool
    projects: tuple[Membership, ...]


@dataclass(frozen=True, kw_only=True)
class NewLink:
    """A link with its address, which is shown this once."""

    link: Link
    address: str


def me() -> Me:
    """Who asks."""
    who = viewer()
    found = person(who.person) if who.person else None
    projects = [
        Membership(id=item.id, name=item.name, role=Role(item.members[who.person]))
        for item in (projects_of(who.person) if who.person else ())
    ]
    return Me(
        person=who.person,
        name=found.title if found else "",
        email=found.email if found else "",
        operator=who.operator,
        projects=tuple(projects),
    )


def held_project(project_id: str) -> Held:
    """Raises ProjectNotFound."""
    found = project(project_id)
    if found is None:
        raise not_found()
    return Held(kind=HeldKind.PROJECT, id=found.id, owner="", missing=not_found)


def target(project_id: str) -> Iterable[Held]:
    """The project that something is moved to; nothing for the person who asks. Raises ProjectNotFound."""
    return (held_project(project_id),) if project_id else ()


def about_link(link_id: str) -> Held:
    """What a link is about. Raises LinkNotFound."""
    found = link(link_id)
    if found is None:
        raise _no_link()
    try:
        held = _FINDS[found.kind](found.about)
    except JobError:
        raise _no_link() from None
    return Held(kind=held.kind, id=held.id, owner=held.owner, group=held.group, missing=_no_link)


def share_job(job_id: str, days: float | None = None) -> NewLink:
    """A link to all versions of an analysis. Raises JobNotFound, OptionsError, NotAllowed."""
    return _new_link(held_job(job_id), days)


def share_study(study_id: str, days: float | None = None) -> NewLink:
    """A link to a study with its rows and tables. Raises StudyNotFound, OptionsError, NotAllowed."""
    return _new_link(held_study(study_id), days)


def invite(project_id: str, role: Role, days: float) -> NewLink:
    """A link with which one person becomes a member. Raises ProjectNotFound, OptionsError."""
    return _new_link(held_project(project_id), days, role)


def job_links(job_id: str) -> list[Link]:
    """The valid links to an analysis. Raises JobNotFound."""
    return links_of(held_job(job_id))


def study_owner(study_id: str) -> str:
    """Id of the person or the project that a study belongs to; empty: the operator. Raises StudyNotFound."""
    return held_study(study_id).owner


def study_links(study_id: str) -> list[Link]:
    """The valid links to a study. Raises StudyNotFound."""
    return links_of(held_study(study_id))


def invitations(project_id: str) -> list[Link]:
    """The open invitations to a project. Raises ProjectNotFound."""
    return links_of(held_project(project_id))


def end_link(link_id: str) -> None:
    """Revoke a link. Raises LinkNotFound."""
    revoke_link(link_id)


def open_link(token: str) -> Link:
    """What a link with this secret shows; an invitation is accepted. Raises LinkNotFound, NotAllowed."""
    found = open_by_secret(token)
    joined = found.kind is HeldKind.PROJECT
    audit.note(viewer(), Act.CHANGED if joined else Act.SAW, f"{found.kind}:{found.about}", f"open_link {found.id}")
    return found


@queue_errors()
def move_job(job_id: str, project_id: str) -> None:
    """Make all versions of an analysis belong to a project, or to the person who asks. Raises JobNotFound."""
    _give_job(open_backend(), held_job(job_id).group, _new_owner(project_id))


@queue_errors()
def move_study(study_id: str, project_id: str) -> None:
    """Make a study, with the single jobs of its rows, belong to a project, or to the person who asks.

    Raises StudyNotFound.
    """
    backend, owner = open_backend(), _new_owner(project_id)
    give_study(study_id, owner)
    for edited in StudyFolder(backend.settings.data_dir, study_id).editing().values():
        _give_job(backend, edited.job, owner)


@queue_errors()
def remove_project(project_id: str) -> None:
    """Delete a project that nothing belongs to. Raises ProjectNotFound, JobConflict."""
    backend = open_backend()
    studies = [folder for folder in study_folders(backend.settings.data_dir) if _owner(folder.id) == project_id]
    if studies or backend.store.owned(project_id, 1):
        raise JobConflict("Analyses or studies belong to the project.", hint="Move or delete them first.")
    remove_links(held_project(project_id))
    delete_project(project_id)


def leave_project(project_id: str) -> None:
    """The person who asks is no longer a member. Raises ProjectNotFound, JobConflict for the last owner."""
    remove_member(project_id, viewer().person)


def forget_person(person_id: str) -> Person | None:
    """Delete name and address of a person, and end their sessions and keys; None for an unknown one.

    What belongs to them is kept for the operator. Their id stays in the audit log and in projects.
    """
    found = person(person_id)
    sessions.end_all(person_id)
    keys.revoke_all(person_id)
    remove(Kind.PEOPLE, person_id)
    return found


def known_people() -> list[Person]:
    """Everybody who has signed in, for the operator."""
    return people()


def _give_job(backend: Backend, first_id: str, owner: str) -> None:
    """All versions of an analysis; first_id: of the first one, which may have been deleted."""
    for version in backend.store.family(first_id):
        record = backend.store.give(version.id, owner)
        if record is not None and not backend.storage.folder_is_missing(version.id):
            backend.storage.write_record(record)


def _new_link(held: Held, days: float | None, role: Role | None = None) -> NewLink:
    made, address = make_link(held, days, role)
    return NewLink(link=made, address=address)


def _new_owner(project_id: str) -> str:
    owner = project_id or viewer().person
    if not owner:
        raise NotAllowed("Only people and projects can own something.", hint="Name a project.")
    return owner


def _owner(study_id: str) -> str:
    try:
        return held_study(study_id).owner
    except JobError:
        return ""


def _no_link() -> LinkNotFound:
    return LinkNotFound("There is no such link: it was revoked, was used, or has ended.")


_FINDS = {HeldKind.JOB: held_job, HeldKind.STUDY: held_study, HeldKind.PROJECT: held_project}

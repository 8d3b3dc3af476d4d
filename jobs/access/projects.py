"""Projects: jobs and studies that several people share. Owners see, change, delete and invite; readers see and
download.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from jobs.access import files
from jobs.access.files import Kind
from jobs.access.people import person
from jobs.access.viewer import viewer
from jobs.errors import JobConflict, NotAllowed, ProjectNotFound
from jobs.state.clock import now
from pipeline.errors import OptionsError

LONGEST_NAME: Final = 64


class Role(StrEnum):
    """Of a member."""

    OWNER = "owner"
    READER = "reader"


@dataclass(frozen=True, kw_only=True)
class Project:
    """members: id of a person -> role"""

    id: str
    name: str
    created_at: str
    members: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A person in a project, as the other members see them."""

    person: str
    role: Role
    name: str
    email: str


def project(project_id: str) -> Project | None:
    """None for an unknown one."""
    found = files.read(Kind.PROJECTS, project_id)
    try:
        return None if found is None else Project(**found)
    except TypeError:
        return None


def role_in(project_id: str, person_id: str) -> Role | None:
    """None for somebody who is no member."""
    found = project(project_id) if person_id else None
    role = None if found is None else found.members.get(person_id)
    return Role(role) if role in tuple(Role) else None


def projects_of(person_id: str) -> list[Project]:
    """Those of which a person is a member, by name."""
    found = [item for name, _ in files.every(Kind.PROJECTS) if (item := project(name)) is not None]
    return sorted((item for item in found if person_id in item.members), key=lambda item: item.name.lower())


def create_project(name: str) -> Project:
    """A project of the person who asks. Raises NotAllowed, OptionsError, StorageFull."""
    who = viewer().person
    if not who:
        raise NotAllowed("Projects belong to people.", hint="Sign in.")
    made = Project(
        id=files.new_id(),
        name=_checked_name(name),
        created_at=now().isoformat(timespec="seconds"),
        members={who: Role.OWNER.value},
    )
    files.write(Kind.PROJECTS, made.id, asdict(made))
    return made


def members(project_id: str) -> list[Member]:
    """Owners first. Raises ProjectNotFound."""
    found = _known(project_id)
    listed = []
    for identity, role in found.members.items():
        who = person(identity)
        name, email = (who.title, who.email) if who else ("Forgotten person", "")
        listed.append(Member(person=identity, role=Role(role), name=name, email=email))
    return sorted(listed, key=lambda member: (member.role is Role.READER, member.name.lower()))


def set_member(project_id: str, person_id: str, role: Role) -> Project:
    """Give somebody a role. Raises ProjectNotFound, JobConflict for the last owner, StorageFull."""
    return _change(project_id, lambda before: {**before, person_id: role.value})


def set_role(project_id: str, person_id: str, role: Role) -> Project:
    """Give a member another role. Raises ProjectNotFound, JobConflict for the last owner and for others."""

    def decide(before: Mapping[str, str]) -> dict[str, str]:
        if person_id not in before:
            raise JobConflict("This person is no member of the project.", hint="Invite them.")
        return {**before, person_id: role.value}

    return _change(project_id, decide)


def remove_member(project_id: str, person_id: str) -> Project:
    """Raises ProjectNotFound, JobConflict for the last owner, StorageFull."""
    return _change(project_id, lambda before: {who: role for who, role in before.items() if who != person_id})


def delete_project(project_id: str) -> None:
    """What belongs to it must have been moved or deleted before. Raises ProjectNotFound."""
    _known(project_id)
    files.remove(Kind.PROJECTS, project_id)


def not_found() -> ProjectNotFound:
    """The error for an unknown project, and for one of others."""
    return ProjectNotFound("There is no such project.")


def _known(project_id: str) -> Project:
    found = project(project_id)
    if found is None:
        raise not_found()
    return found


def _change(project_id: str, decide: Callable[[Mapping[str, str]], dict[str, str]]) -> Project:
    with files.locked():
        before = _known(project_id)
        after = decide(before.members)
        if Role.OWNER.value not in after.values():
            raise JobConflict("A project needs an owner.", hint="Make another member its owner first.")
        changed = Project(id=before.id, name=before.name, created_at=before.created_at, members=after)
        files.write(Kind.PROJECTS, changed.id, asdict(changed))
    return changed


def _checked_name(name: str) -> str:
    text = " ".join(name.split())
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise OptionsError(
            f"The name of the project has {len(text)} characters; expected 1 to {LONGEST_NAME} printable ones.",
            option="name",
        )
    return text

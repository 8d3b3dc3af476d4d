"""Bodies of the requests about projects, links and owners."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from jobs.access.links import INVITATION_DAYS, LONGEST_DAYS
from jobs.access.projects import LONGEST_NAME, Role


class AccessForm(BaseModel):
    """Base class."""

    model_config = ConfigDict(extra="ignore")


class ProjectForm(AccessForm):
    """A new project."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class InvitationForm(AccessForm):
    """Who opens the link becomes a member with this role."""

    role: Role = Role.READER
    days: Annotated[float, Field(gt=0, le=30, description="Until the invitation ends.")] = INVITATION_DAYS


class RoleForm(AccessForm):
    """The role of a member."""

    role: Role


class LinkForm(AccessForm):
    """A link for reading."""

    days: Annotated[
        float | None, Field(gt=0, le=LONGEST_DAYS, description="Until the link ends; null: until it is revoked.")
    ] = None


class OpenForm(AccessForm):
    """What is after the # in the address of a link."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class OwnerForm(AccessForm):
    """To whom something belongs."""

    project: Annotated[str, Field(max_length=32, description="Id of a project; empty: the person who asks.")] = ""


def fields(form: type[BaseModel]) -> tuple[str, ...]:
    """Names of the fields of a form."""
    return tuple(form.model_fields)


PATHS: Final = {"job": "/analysis?job=", "study": "/studies?study=", "project": "/account?project="}
"""Kind of a link -> the page that shows what it is about, before its id."""

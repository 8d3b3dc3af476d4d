"""Routes for people: projects and their members, links, and to whom jobs and studies belong."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, TypeVar

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from jobs import service
from jobs.access import doors
from jobs.intake.access_form import (
    PATHS,
    InvitationForm,
    LinkForm,
    OpenForm,
    OwnerForm,
    ProjectForm,
    RoleForm,
    fields,
)
from jobs.intake.field_names import check_names, check_query
from jobs.intake.version_form import parse_body
from jobs.settings import load_settings
from rest.answers import documented
from rest.guard import BESIDE_PAGES, session_of

TAGS: Final[list[str | Enum]] = ["people"]
Values = dict[str, object]
F = TypeVar("F", bound=BaseModel)


class LinkBody(BaseModel):
    """A link without its secret. about: id of a job (its first version), a study or a project"""

    id: str
    kind: str
    about: str
    role: str
    created_at: datetime
    expires_at: datetime | None


class NewLinkBody(BaseModel):
    """address: with the secret of the link; it is shown this once"""

    link: LinkBody
    address: str


class OpenedBody(BaseModel):
    """address: of the page that shows what the link is about, below the address of the pages"""

    kind: str
    about: str
    address: str


class ProjectBody(BaseModel):
    """A new project, of which its maker is the owner."""

    id: str
    name: str


def add_sharing_routes(routes: FastAPI) -> None:
    """Add them to the interface. All answer 404 where people do not sign in."""
    _add_projects(routes)
    _add_links(routes)
    _add_owners(routes)


def _body(form: type[BaseModel]) -> dict[str, object]:
    return {"requestBody": {"content": {"application/json": {"schema": form.model_json_schema()}}}}


def _parsed(request: Request, form: type[F], values: Values | None) -> F:
    """Raises InvalidForm."""
    check_query(request.query_params, fields(form))
    check_names(values or {}, fields(form))
    return parse_body(form, values or {})


def _new_link(made: service.NewLink) -> NewLinkBody:
    return NewLinkBody(link=_link(made.link), address=made.address)


def _link(found: service.Link) -> LinkBody:
    return LinkBody(**{name: getattr(found, name) for name in LinkBody.model_fields})


def _add_projects(routes: FastAPI) -> None:
    @routes.get("/me", response_model=service.Me, responses=documented(404), tags=TAGS)
    def me(request: Request) -> service.Me:
        """Who asks, and their projects."""
        check_query(request.query_params, ())
        return service.me()

    @routes.post(
        "/projects",
        status_code=201,
        response_model=ProjectBody,
        responses=documented(404, 422),
        openapi_extra=_body(ProjectForm),
        tags=TAGS,
    )
    def create(request: Request, values: Values = Body()) -> ProjectBody:  # noqa: B008 -- FastAPI's way
        """Make a project. Jobs and studies are moved to it with PUT /jobs/{job_id}/owner."""
        made = service.create_project(_parsed(request, ProjectForm, values).name)
        return ProjectBody(id=made.id, name=made.name)

    @routes.delete("/projects/{project_id}", status_code=204, responses=documented(404, 409), tags=TAGS)
    def remove(request: Request, project_id: str) -> Response:
        """Delete a project that no job and no study belongs to."""
        check_query(request.query_params, ())
        service.remove_project(project_id)
        return Response(status_code=204)

    @routes.get(
        "/projects/{project_id}/members", response_model=list[service.Member], responses=documented(404), tags=TAGS
    )
    def members(request: Request, project_id: str) -> list[service.Member]:
        """The members of a project of the person who asks."""
        check_query(request.query_params, ())
        return service.members(project_id)

    @routes.put(
        "/projects/{project_id}/members/{person_id}",
        status_code=204,
        responses=documented(404, 409, 422),
        openapi_extra=_body(RoleForm),
        tags=TAGS,
    )
    def change(request: Request, project_id: str, person_id: str, values: Values = Body()) -> Response:  # noqa: B008 -- FastAPI's way
        """Give a member another role."""
        role = _parsed(request, RoleForm, values).role
        service.set_role(project_id, person_id, role)
        return Response(status_code=204)

    @routes.delete(
        "/projects/{project_id}/members/{person_id}", status_code=204, responses=documented(404, 409), tags=TAGS
    )
    def leave(request: Request, project_id: str, person_id: str) -> Response:
        """Take somebody out of a project; everybody can leave."""
        check_query(request.query_params, ())
        if person_id == service.viewer().person:
            service.leave_project(project_id)
        else:
            service.remove_member(project_id, person_id)
        return Response(status_code=204)

    @routes.post(
        "/projects/{project_id}/invitations",
        status_code=201,
        response_model=NewLinkBody,
        responses=documented(404, 422),
        openapi_extra=_body(InvitationForm),
        tags=TAGS,
    )
    def invite(request: Request, project_id: str, values: Values | None = Body(default=None)) -> NewLinkBody:  # noqa: B008 -- FastAPI's way
        """A link with which one person becomes a member."""
        form = _parsed(request, InvitationForm, values)
        return _new_link(service.invite(project_id, form.role, form.days))


def _add_links(routes: FastAPI) -> None:
    @routes.get("/jobs/{job_id}/links", response_model=list[LinkBody], responses=documented(404), tags=TAGS)
    def job_links(request: Request, job_id: str) -> list[LinkBody]:
        """The valid links to an analysis."""
        check_query(request.query_params, ())
        return [_link(found) for found in service.job_links(job_id)]

    @routes.post(
        "/jobs/{job_id}/links",
        status_code=201,
        response_model=NewLinkBody,
        responses=documented(404, 422),
        openapi_extra=_body(LinkForm),
        tags=TAGS,
    )
    def share_job(request: Request, job_id: str, values: Values | None = Body(default=None)) -> NewLinkBody:  # noqa: B008 -- FastAPI's way
        """A link with which anyone can see all versions of an analysis."""
        return _new_link(service.share_job(job_id, _parsed(request, LinkForm, values).days))

    @routes.get("/studies/{study_id}/links", response_model=list[LinkBody], responses=documented(404), tags=TAGS)
    def study_links(request: Request, study_id: str) -> list[LinkBody]:
        """The valid links to a study."""
        check_query(request.query_params, ())
        return [_link(found) for found in service.study_links(study_id)]

    @routes.post(
        "/studies/{study_id}/links",
        status_code=201,
        response_model=NewLinkBody,
        responses=documented(404, 422),
        openapi_extra=_body(LinkForm),
        tags=TAGS,
    )
    def share_study(request: Request, study_id: str, values: Values | None = Body(default=None)) -> NewLinkBody:  # noqa: B008 -- FastAPI's way
        """A link with which anyone can see a study, its rows and tables."""
        return _new_link(service.share_study(study_id, _parsed(request, LinkForm, values).days))

    @routes.post(
        "/links/open",
        response_model=OpenedBody,
        responses=documented(404, 422),
        openapi_extra=_body(OpenForm),
        tags=TAGS,
    )
    def open_link(request: Request, values: Values = Body()) -> Response:  # noqa: B008 -- FastAPI's way
        """Open a link: the browser may then see what it is about; an invitation makes its person a member.

        On the port of the pages. The answer sets a cookie.
        """
        token = _parsed(request, OpenForm, values).token
        found = service.open_link(token)
        place = f"{load_settings().root_path}{PATHS[found.kind]}{found.about}"
        answer = JSONResponse(OpenedBody(kind=found.kind, about=found.about, address=place).model_dump())
        if found.role == "" and str(request.scope.get("root_path", "")).endswith(BESIDE_PAGES):
            answer.set_cookie(
                doors.cookie_name(),
                doors.add_link(session_of(request.headers), found.id),
                max_age=doors.lifetime_s(),
                path="/",
                httponly=True,
                samesite="lax",
                secure=doors.secure_cookies(),
            )
        return answer

    @routes.delete("/links/{link_id}", status_code=204, responses=documented(404), tags=TAGS)
    def end_link(request: Request, link_id: str) -> Response:
        """Revoke a link or an invitation."""
        check_query(request.query_params, ())
        service.end_link(link_id)
        return Response(status_code=204)


def _add_owners(routes: FastAPI) -> None:
    @routes.put(
        "/jobs/{job_id}/owner",
        status_code=204,
        responses=documented(404, 422),
        openapi_extra=_body(OwnerForm),
        tags=TAGS,
    )
    def move_job(request: Request, job_id: str, values: Values = Body()) -> Response:  # noqa: B008 -- FastAPI's way
        """Make all versions of an analysis belong to a project, or to the person who asks."""
        service.move_job(job_id, _parsed(request, OwnerForm, values).project)
        return Response(status_code=204)

    @routes.put(
        "/studies/{study_id}/owner",
        status_code=204,
        responses=documented(404, 422),
        openapi_extra=_body(OwnerForm),
        tags=TAGS,
    )
    def move_study(request: Request, study_id: str, values: Values = Body()) -> Response:  # noqa: B008 -- FastAPI's way
        """Make a study belong to a project, or to the person who asks."""
        service.move_study(study_id, _parsed(request, OwnerForm, values).project)
        return Response(status_code=204)

"""Access keys for browsers: a key is sent once and exchanged for a pass in a cookie."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.datastructures import Headers

from jobs import service
from jobs.settings import ACCESS_COOKIE, load_settings
from rest.answers import documented
from rest.clients import client_of
from rest.guard import key_required, pass_of, refused_key, sent_key, valid_key


def add_access_routes(routes: FastAPI) -> None:
    """Add them to the interface."""

    @routes.post("/access", status_code=204, responses=documented(401), tags=["service"])
    async def access(request: Request) -> Response:
        """Exchange an API key for a cookie, for browsers."""
        return grant_access(request)

    @routes.delete("/access", status_code=204, responses=documented(), tags=["service"])
    async def leave(request: Request) -> Response:
        """Sign out: the cookie of this browser becomes invalid."""
        return end_access(request)


def grant_access(request: Request) -> Response:
    """204 and the cookie for a valid key, otherwise 401; 204 alone where no key is needed."""
    settings = load_settings()
    if not settings.keys:
        return Response(status_code=204)
    given, client = sent_key(Headers(scope=request.scope)), client_of(request.scope)
    if not given:
        return key_required()
    key = valid_key(given, client, settings)
    if key is None:
        return refused_key(client)
    answer = Response(status_code=204)
    answer.set_cookie(
        ACCESS_COOKIE,
        service.issue_pass(key),
        max_age=service.PASS_LIFETIME_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def end_access(request: Request) -> Response:
    """204; the pass of the browser becomes invalid and its cookie is removed."""
    service.revoke_pass(pass_of(Headers(scope=request.scope)))
    answer = Response(status_code=204)
    answer.delete_cookie(ACCESS_COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer

"""Access keys for browsers: a key is sent once and exchanged for a pass in a cookie."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from jobs import service
from jobs.settings import ACCESS_COOKIE, load_settings
from rest.clients import client_of
from rest.guard import key_required, pass_of, refused_key, sent_key, valid_key


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

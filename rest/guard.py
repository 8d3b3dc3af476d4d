"""Access control: rejects pages of other sites, foreign host names and, if API_KEYS is set, requests without a key."""

from __future__ import annotations

import hmac
import math
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs import service
from jobs.access import doors
from jobs.access.doors import NOBODY, OPERATOR, Viewer, acting_for
from jobs.settings import ACCESS_COOKIE, Settings, load_settings
from rest.answers import plain_error
from rest.clients import KeyTries, client_of
from rest.docs_page import PAGE_ROUTES
from rest.early_refusal import EarlyRefusal
from rest.hosts import READING, foreign_refusal

OPEN_ROUTES: Final = ("/health", "/live", "/docs", *PAGE_ROUTES, "/openapi.json", "/access")
SIGN_IN_ROUTES: Final = ("/sign-in", "/sign-in/callback", "/sign-out", "/links/open")
"""Routes that need neither key nor session; the second on servers to which people sign in."""

BESIDE_PAGES: Final = "/api"
"""Path at which the pages' server mounts the interface (web.py)."""

key_tries: Final = KeyTries()
"""Of this process."""


class Guard:
    """Middleware that rejects foreign names and origins, and requires API_KEYS, if set."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        refusal, who = _refusal(scope)
        if refusal is None:
            with acting_for(who):
                await self._inner(scope, receive, send)
        elif scope["method"] in READING:
            await refusal(scope, receive, send)
        else:  # an unread body may still be arriving
            await EarlyRefusal.of(refusal)(scope, receive, send)


def _refusal(scope: Scope) -> tuple[JSONResponse | None, Viewer]:
    """The answer to a request that is not admitted, and who sent the others."""
    headers = Headers(scope=scope)
    settings = load_settings()
    foreign = foreign_refusal(headers, scope["method"], settings)
    if foreign is not None:
        return foreign, NOBODY
    if not settings.keys and not settings.sign_in:
        return None, OPERATOR
    is_open = route_path(scope) in (*OPEN_ROUTES, *(SIGN_IN_ROUTES if settings.sign_in else ()))
    who = NOBODY if is_open and not settings.sign_in else viewer_of(scope, headers, settings)
    if is_open or who.known:
        return None, who
    return refused_key(client_of(scope)) if sent_key(headers) else key_required(), NOBODY


def has_access(scope: Scope, headers: Headers, settings: Settings) -> bool:
    """Whether a valid key was sent; or, on the port of the pages, whether the browser has access to them."""
    return viewer_of(scope, headers, settings).known


def viewer_of(scope: Scope, headers: Headers, settings: Settings) -> Viewer:
    """Who sent a request: the operator with one of API_KEYS; with sign-in, a person with a key or a session, or
    somebody with a link. Cookies count on the port of the pages alone.
    """
    given, client = sent_key(headers), client_of(scope)
    if valid_key(given, client, settings) is not None:
        return OPERATOR
    beside_pages = str(scope.get("root_path", "")).endswith(BESIDE_PAGES)
    if settings.sign_in:
        person = doors.viewer_with_key(given)
        if person is not None and key_tries.admit(client, given):
            return person
        session = doors.viewer_in_session(session_of(headers)) if beside_pages else NOBODY
        if session.known:
            return session
    admitted = beside_pages and (settings.pages_open or service.accept_pass(pass_of(headers)))
    return OPERATOR if admitted else NOBODY


def session_of(headers: Headers) -> str:
    """The token of a session in the cookie of a browser; empty if there is none."""
    return cookie_parser(headers.get("cookie", "")).get(doors.cookie_name(), "")


def valid_key(given: str, client: str, settings: Settings) -> str | None:
    """The one of API_KEYS that was sent. None if it is not one of them, or the client has sent many wrong ones."""
    matches = [hmac.compare_digest(given.encode("utf-8", "replace"), key.encode()) for key in settings.keys]
    if not any(matches):
        return None
    key = settings.keys[matches.index(True)]
    return key if key_tries.admit(client, key) else None


def refused_key(client: str) -> JSONResponse:
    """401 for a wrong key, which is counted; 429 if the client has sent many."""
    wait_s = key_tries.wait_s(client)
    if wait_s > 0:
        answer = plain_error(
            429, "Too many wrong keys from this address.", "TOO_MANY_KEYS", "Wait, then send the key again."
        )
        answer.headers["retry-after"] = str(math.ceil(wait_s))
        return answer
    key_tries.note_wrong(client)
    return _unauthorized("This is not one of the keys of this server.", "Ask its operator for a key.")


def key_required() -> JSONResponse:
    """401 for a request without a key."""
    return _unauthorized("A valid API key is required.", "Send X-API-Key, or Authorization: Bearer.")


def _unauthorized(detail: str, hint: str) -> JSONResponse:
    answer = plain_error(401, detail, "UNAUTHORIZED", hint)
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def route_path(scope: Scope) -> str:
    """The path below the mount point of the app."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def sent_key(headers: Headers) -> str:
    """The key in X-API-Key or Authorization: Bearer; empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


def pass_of(headers: Headers) -> str:
    """The pass in the cookie of a browser; empty if there is none."""
    return cookie_parser(headers.get("cookie", "")).get(ACCESS_COOKIE, "")

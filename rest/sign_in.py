"""Sign-in by OpenID Connect: the browser is sent to the provider, comes back with a code, and gets a session.

Only on the port of the pages, whose cookies it sets. Between the two requests, a signed cookie holds state, nonce and
verifier, so that an answer of the provider counts only in the browser that asked, and only once within ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import time
from html import escape
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.datastructures import Headers

from jobs.access import doors
from jobs.errors import SignInFailed, SignInOff
from jobs.settings import Settings, load_settings
from pipeline.errors import KneeError
from rest.guard import BESIDE_PAGES, session_of

SIGN_IN: Final = "/sign-in"
RETURN: Final = "/sign-in/callback"
SIGN_OUT: Final = "/sign-out"

BEGUN_S: Final = 600
"""Time for the sign-in at the provider."""

_NEXT: Final = re.compile(r"/[A-Za-z0-9_-]{0,40}(\?[A-Za-z0-9_.~=&%+-]{0,2000})?")
_LONGEST: Final = 4096

log = logging.getLogger(__name__)


def safe_next(text: str) -> str:
    """Where the browser goes after a sign-in: a page of this server, with its query; else the home page."""
    return text if _NEXT.fullmatch(text) else "/"


def add_sign_in_routes(routes: FastAPI) -> None:
    """Add them to the interface."""

    @routes.get(SIGN_IN, include_in_schema=False)
    async def sign_in(request: Request, next: str = "/") -> Response:
        """Send the browser to the provider."""
        settings = _settings(request)
        from rest.provider import provider  # not needed without sign-in

        state, nonce, verifier = doors.new_token(), doors.new_token(), doors.new_token()
        try:
            address = await run_in_threadpool(provider(settings).start, state, nonce, verifier)
        except SignInFailed as error:
            return _problem(error, settings)
        answer = RedirectResponse(address, 303)
        begun = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "next": safe_next(next),
            "ends": time.time() + BEGUN_S,
        }
        _set_cookie(answer, _begun_cookie(), _signed(begun), BEGUN_S)
        return answer

    @routes.get(RETURN, include_in_schema=False)
    async def come_back(request: Request) -> Response:
        """The browser comes back from the provider."""
        settings = _settings(request)
        try:
            token, place = await run_in_threadpool(_finish, request, settings)
        except KneeError as error:
            log.warning("sign-in failed: %s", error.code)
            answer = _problem(error, settings)
        else:
            answer = RedirectResponse(settings.root_path + place, 303)
            _set_cookie(answer, doors.cookie_name(), token, doors.lifetime_s())
        _set_cookie(answer, _begun_cookie(), "", 0)
        return answer

    @routes.post(SIGN_OUT, include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        """End the session; answers the address at which the browser signs out of the provider too."""
        settings = _settings(request)
        from rest.provider import provider

        token = session_of(Headers(scope=request.scope))
        person = doors.viewer_in_session(token).person
        await run_in_threadpool(doors.end_session, token)
        address = await run_in_threadpool(provider(settings).end) if person else ""
        answer = JSONResponse({"address": address or f"{settings.root_path}/"})
        _set_cookie(answer, doors.cookie_name(), "", 0)
        return answer


def _finish(request: Request, settings: Settings) -> tuple[str, str]:
    """The token of the new session, and the page to go to. Raises SignInFailed, StorageFull."""
    from rest.provider import provider

    begun = _read(request.cookies.get(_begun_cookie(), ""))
    values = dict(request.query_params)
    if begun is None or not hmac.compare_digest(values.get("state", "").encode(), str(begun["state"]).encode()):
        raise SignInFailed("This sign-in was not begun in this browser, or took more than ten minutes.")
    asked = provider(settings)
    asked.require_sender(values)
    code = values.get("code", "")
    if not 0 < len(code) <= _LONGEST:
        raise SignInFailed("The provider did not sign you in.")
    found = asked.finish(code, str(begun["nonce"]), str(begun["verifier"]))
    before = session_of(request.headers)
    token = doors.begin_session(found.issuer, found.subject, found.name, found.email, before)
    return token, safe_next(str(begun["next"]))


def _settings(request: Request) -> Settings:
    """Raises SignInOff where nobody signs in, and on the port of the interface alone."""
    settings = load_settings()
    if not settings.sign_in or not str(request.scope.get("root_path", "")).endswith(BESIDE_PAGES):
        raise SignInOff("People do not sign in at this address.", hint="Open a page of this server.")
    return settings


def _problem(error: KneeError, settings: Settings) -> Response:
    link = f"{settings.root_path}/"
    return HTMLResponse(
        f"<!doctype html><meta charset='utf-8'><title>Sign-in failed</title>"
        f"<body style='font-family:sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem'><h1>Sign-in failed</h1>"
        f"<p>{escape(error.message)} {escape(error.hint)}</p><p><a href='{escape(link)}'>Back to the start</a></p>",
        403 if isinstance(error, SignInFailed) else 503,
    )


def _begun_cookie() -> str:
    return doors.cookie_name().replace("session", "sign_in")


def _set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    """SameSite=Lax: sent when the provider or a link in a message leads here, never with a change from elsewhere."""
    answer.set_cookie(
        name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=doors.secure_cookies()
    )


def _signed(content: dict[str, Any]) -> str:
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return f"{body}.{_mac(body)}"


def _read(text: str) -> dict[str, Any] | None:
    """None for anything that this server has not signed, or that is too old."""
    body, _, mac = text.partition(".")
    if len(text) > _LONGEST or not hmac.compare_digest(mac.encode(), _mac(body).encode()):
        return None
    content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return content if isinstance(content, dict) and float(content["ends"]) > time.time() else None


def _mac(body: str) -> str:
    return hmac.new(doors.signing_secret(), body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

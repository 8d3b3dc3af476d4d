"""Access control: rejects pages of other sites, foreign host names and, if API_KEYS is set, requests without a key."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.settings import ACCESS_COOKIE, Settings, load_settings
from rest.answers import plain_error
from rest.docs_page import PAGE_ROUTES
from rest.receive import EarlyRefusal

OPEN_ROUTES: Final = ("/health", "/docs", *PAGE_ROUTES, "/openapi.json", "/access")
BESIDE_PAGES: Final = "/api"
"""Path at which the pages' server mounts the interface (web.py)."""

READING: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Middleware that rejects changes by pages of other sites and requires API_KEYS, if set."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        refusal = _refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._inner(scope, receive, send)
        elif scope["method"] in READING:
            await refusal(scope, receive, send)
        else:  # an unread body may still be arriving
            early = EarlyRefusal(refusal.body, refusal.status_code, dict(refusal.headers))
            await early(scope, receive, send)


def _refusal(scope: Scope) -> JSONResponse | None:
    headers = Headers(scope=scope)
    settings = load_settings()
    if _private(settings) and not _is_local(_host_name(headers.get("host", ""))):
        # DNS rebinding: pages of another site whose name resolves to this server would have "the same origin"
        return plain_error(
            403,
            "This server accepts only 127.0.0.1, localhost and local names.",
            "UNKNOWN_HOST",
            "Open it under one of them.",
        )
    if scope["method"] not in READING and not _same_origin(headers):
        return plain_error(403, "Cross-site request refused.", "CROSS_SITE", "Send it from a page of this server.")
    if settings.keys and route_path(scope) not in OPEN_ROUTES and not _has_access(scope, headers, settings):
        hint = "Send X-API-Key, or Authorization: Bearer."
        answer = plain_error(401, "A valid API key is required.", "UNAUTHORIZED", hint)
        answer.headers["www-authenticate"] = "Bearer"
        return answer
    return None


def _has_access(scope: Scope, headers: Headers, settings: Settings) -> bool:
    """Whether a key was sent; or, on the port of the pages, whether the browser has access to them."""
    if matches_any(sent_key(headers), settings.keys):
        return True
    beside_pages = str(scope.get("root_path", "")).endswith(BESIDE_PAGES)
    return beside_pages and (settings.pages_open or matches_any(_token_of(headers), settings.access_tokens))


def route_path(scope: Scope) -> str:
    """The path below the mount point of the app."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _private(settings: Settings) -> bool:
    """Whether the server is only for this machine and has no keys."""
    return settings.loopback and not (settings.keys or settings.open_access)


def _host_name(value: str) -> str:
    """`[::1]:8000` -> `::1`; an invalid value gives an empty host."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def _is_local(host: str) -> bool:
    """Whether a name is local: internet names, which could resolve to this server, contain a dot."""
    return _is_loopback(host) or (host != "" and not set(".:") & set(host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _same_origin(headers: Headers) -> bool:
    """Whether a modifying request comes from a page of this server, or not from a page."""
    host = headers.get("host", "").lower()
    origins = headers.getlist("origin")
    if origins:
        return all(_authority(origin) == host for origin in origins)
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return all(_authority(referer) == host for referer in headers.getlist("referer"))


def _authority(address: str) -> str | None:
    """Host and port of an address; None for `null` and invalid addresses."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


def sent_key(headers: Headers) -> str:
    """The key in X-API-Key or Authorization: Bearer; empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


def _token_of(headers: Headers) -> str:
    return cookie_parser(headers.get("cookie", "")).get(ACCESS_COOKIE, "")


def matches_any(given: str, accepted: tuple[str, ...]) -> bool:
    """Whether it is one of them. All are compared, in constant time."""
    return sum(hmac.compare_digest(given.encode("utf-8", "replace"), one.encode()) for one in accepted) > 0

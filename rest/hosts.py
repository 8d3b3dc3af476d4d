"""Names and origins: a request must name this server, and a page that sends one must be a page of this server.

The same rules hold for the REST interface, the pages and their WebSocket, with and without keys. Without the first, a
page of another site whose name resolves to this server would have "the same origin" (DNS rebinding).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from jobs.settings import Settings, is_loopback
from rest.answers import plain_error

READING: Final = ("GET", "HEAD", "OPTIONS")

MOST_ECHO: Final = 100
"""Maximum number of characters of a header in an answer."""


def foreign_refusal(headers: Headers, method: str, settings: Settings) -> JSONResponse | None:
    """403 for a request under another name, or from a page of another site; None for any other.

    method: of the request; a WebSocket starts with GET
    """
    host = _host_name(headers.get("host", ""))
    if not (is_loopback(host) or host in settings.host_names):
        return plain_error(
            403,
            f"This server is not known as {_quoted(host)}.",
            "UNKNOWN_HOST",
            "Its operator can add the name to the setting ALLOWED_HOSTS.",
        )
    if not _same_origin(headers, changes=method not in READING):
        return plain_error(
            403,
            "Cross-site request refused.",
            "CROSS_SITE",
            "Send it from a page of this server. A proxy must pass the Host header unchanged, and the setting "
            "ALLOWED_HOSTS must list its name.",
        )
    return None


def _same_origin(headers: Headers, *, changes: bool) -> bool:
    """Whether the request comes from a page of this server, or not from a page.

    A browser follows a link from another site without naming the origin, so only a request that `changes` something is
    checked for the other signs of another site.
    """
    host = headers.get("host", "").lower()
    origins = headers.getlist("origin")
    if origins:
        return all(_authority(origin) == host for origin in origins)
    if not changes:
        return True
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return all(_authority(referer) == host for referer in headers.getlist("referer"))


def _host_name(value: str) -> str:
    """`[::1]:8000` -> `::1`; an invalid value gives an empty host."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def _authority(address: str) -> str | None:
    """Host and port of an address; None for `null` and invalid addresses."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


def _quoted(host: str) -> str:
    """A name as text for an answer."""
    return repr(host[:MOST_ECHO])

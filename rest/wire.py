"""Common handling of all requests: body limits, HEAD, and security headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rest.answers import plain_error
from rest.early_refusal import EarlyRefusal
from rest.guard import route_path

MOST_BODY_BYTES: Final = 64 * 1024
"""Maximum body size of every request except an upload; the options of a retry need a few hundred bytes."""

HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-cache",
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'",
}
"""A report opened from here shows text, styles and pictures, but runs no scripts."""


ONE_YEAR_S: Final = 31_536_000


def secured(headers: MutableHeaders, scope: Scope) -> None:
    """Behind TLS, ask the browser to use nothing else for this name."""
    if scope["scheme"] in ("https", "wss"):
        headers.setdefault("strict-transport-security", f"max-age={ONE_YEAR_S}")


class Wire:
    """The outermost middleware."""

    def __init__(self, inner: ASGIApp, streamed: tuple[str, ...], larger: Mapping[str, int]) -> None:
        """streamed: paths whose routes limit the body themselves; larger: other limits. `*`: any one part of a path."""
        self._inner = inner
        self._streamed = streamed
        self._larger = larger

    def _limit(self, path: str) -> int | None:
        """The most bytes of a body; None: the route limits them."""
        if any(_fits(path, pattern) for pattern in self._streamed):
            return None
        return next((most for pattern, most in self._larger.items() if _fits(path, pattern)), MOST_BODY_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                secured(headers, scope)
            await send(message)

        limit = self._limit(route_path(scope))
        if limit is None:
            await self._inner(scope, receive, dressed)
        elif announced_bytes(scope) > limit:
            answer = plain_error(
                413,
                f"The body may have at most {limit} bytes.",
                "BODY_TOO_LARGE",
                "Send files with POST /upload.",
            )
            await EarlyRefusal.of(answer)(scope, receive, dressed)
        elif scope["method"] == "HEAD":
            await _head(self._inner, scope, receive, dressed)
        else:
            await self._inner(scope, _bounded(receive, limit), dressed)


def _fits(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(word in ("*", part) for part, word in zip(parts, wanted, strict=True))


def announced_bytes(scope: Scope) -> int:
    """Content-Length of a request; 0 without a valid one."""
    text = Headers(scope=scope).get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _bounded(receive: Receive, limit: int) -> Receive:
    """Abort a body without a declared length if it is too long."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        return {"type": "http.disconnect"} if came > limit else message

    return counted


async def _head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The response to GET without its body, which is not read from disk."""
    with anyio.CancelScope() as work:

        async def headers_alone(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            work.cancel()

        await app({**scope, "method": "GET"}, receive, headers_alone)

"""One line per request, on both ports: client, method, path, status, bytes and milliseconds of the answer.

Paths are those of the routes, with the ids of jobs. Queries, headers, names of files and unknown paths are left out,
because they can contain keys and names of patients.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.logs import ACCESS, FIELDS
from rest.clients import client_of
from rest.page_routes import HTTP, WEBSOCKET, PageRoute

UNKNOWN: Final = "(unknown)"
"""Path without a route."""

NO_ANSWER: Final = 499
"""Status of a request whose client was gone before the answer."""

OPENED: Final = 101
REFUSED: Final = 403

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

log = logging.getLogger(ACCESS)


class AccessLog:
    """The outermost middleware of a port. name_of: the path of a request to be logged; None: logged elsewhere"""

    def __init__(self, inner: ASGIApp, name_of: Callable[[Scope], str | None]) -> None:
        self._inner = inner
        self._name_of = name_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = self._name_of(scope) if scope["type"] in (HTTP, WEBSOCKET) else None
        if path is None:
            await self._inner(scope, receive, send)
            return
        answer = _Answer()

        async def noted(message: Message) -> None:
            answer.note(message)
            await send(message)

        begun = time.perf_counter()
        try:
            await self._inner(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - begun
            fields = {
                "client": client_of(scope),
                "method": scope.get("method", WEBSOCKET),
                "path": path,
                "status": answer.status,
                "bytes": answer.sent_bytes,
                "ms": round(1000 * seconds, 1),
            }
            log.info(" ".join(map(str, fields.values())), extra={FIELDS: fields})


class _Answer:
    """What was sent."""

    def __init__(self) -> None:
        self.status = NO_ANSWER
        self.sent_bytes = 0

    def note(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start" | "websocket.http.response.start":
                self.status = message["status"]
            case "http.response.body" | "websocket.http.response.body":
                self.sent_bytes += len(message.get("body", b""))
            case "websocket.accept":
                self.status = OPENED
            case "websocket.close" if self.status == NO_ANSWER:
                self.status = REFUSED
            case "websocket.send":
                self.sent_bytes += len(message.get("bytes") or message.get("text") or "")


def named_by_routes(routes: Iterable[BaseRoute], path_of: Callable[[Scope], str]) -> Callable[[Scope], str]:
    """The path of a request as its route declares it, with the ids of jobs and scans."""
    known = [(route.path_regex, route.path) for route in routes if isinstance(route, (Route, Mount))]

    def name_of(scope: Scope) -> str:
        path = path_of(scope)
        for pattern, declared in known:
            if match := pattern.match(path):
                return _with_ids(declared, match.groupdict())
        return UNKNOWN

    return name_of


def _with_ids(declared: str, values: Mapping[str, str]) -> str:
    """A declared path with the values of its parameters that are ids of jobs or scans."""
    ids = {name: value for name, value in values.items() if _ID.fullmatch(value)}
    return re.sub(r"{(\w+)(?::\w+)?}", lambda part: ids.get(part[1], f"{{{part[1]}}}"), declared)


def named_by_pages(
    routes: Iterable[PageRoute], elsewhere: str, path_of: Callable[[Scope], str]
) -> Callable[[Scope], str | None]:
    """The path of a request as the table of the pages' port has it; None below `elsewhere`."""
    known = tuple(routes)

    def name_of(scope: Scope) -> str | None:
        path = path_of(scope)
        if path == elsewhere or path.startswith(f"{elsewhere}/"):
            return None
        return next((route.path for route in known if route.kind == scope["type"] and route.matches(path)), UNKNOWN)

    return name_of

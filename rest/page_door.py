"""The door of the pages' port: which requests reach Streamlit, /api and /assets, and the headers of the answers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.errors import ClientBusy, ServerBusy
from jobs.settings import Settings
from rest.answers import error_response, plain_error
from rest.clients import Places, client_of
from rest.early_refusal import EarlyRefusal
from rest.guard import BESIDE_PAGES, has_access
from rest.hosts import foreign_refusal
from rest.page_routes import ASSETS, HTTP, WEBSOCKET, Users, page_routes
from rest.wire import MOST_BODY_BYTES, announced_bytes, secured

WEBSOCKETS: Final = 300
WEBSOCKETS_EACH: Final = 50
"""Open pages of all users, and of one client; each keeps a connection and a session of Streamlit."""

SHOWN: Final = ("GET", "HEAD")
"""Methods of the pages."""

_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)

FRAME: Final = f"{ASSETS}/viewers/export.html"
FRAME_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src blob:; "
    "frame-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""For the frame with the export of PyVista, which is one page with its scripts inside."""


def page_policy(shell: str) -> str:
    """Content-Security-Policy of the pages.

    shell: Streamlit's index.html, whose own inline scripts are allowed by their digests

    Streamlit runs the code of a component from a blob, and sets styles inline.
    """
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in _INLINE.findall(shell)]
    inline = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' blob: {inline}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; media-src 'self'; "
        "worker-src 'self' blob:; frame-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def path_below(root: str, scope: Scope) -> str:
    """The path below ROOT_PATH, which a proxy may have removed."""
    path = str(scope["path"])
    return path.removeprefix(root) or "/" if root and f"{path}/".startswith(f"{root}/") else path


class PageDoor:
    """Middleware of the pages' port."""

    def __init__(self, inner: ASGIApp, settings: Settings, pages: Collection[str], shell: str) -> None:
        """pages: names of the pages; shell: Streamlit's index.html."""
        self._inner = inner
        self._settings = settings
        self._routes = page_routes(pages)
        self._policy = page_policy(shell)
        self._websockets = Places("open pages", WEBSOCKETS, WEBSOCKETS_EACH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in (HTTP, WEBSOCKET):
            await self._inner(scope, receive, send)
            return
        path = path_below(self._settings.root_path, scope)
        rooted = {**scope, "root_path": self._settings.root_path, "path": self._settings.root_path + path}
        if path == BESIDE_PAGES or path.startswith(f"{BESIDE_PAGES}/"):
            await self._inner(rooted, receive, send)  # has its own guard
            return
        refusal = self._refusal(rooted, path)
        if scope["type"] == WEBSOCKET:
            await self._open_websocket(refusal, rooted, receive, send)
            return
        dressed = self._dressed(rooted, path, send)
        if refusal is None:
            await self._inner(rooted, receive, dressed)
        else:
            await EarlyRefusal.of(refusal)(rooted, receive, dressed)

    def _refusal(self, scope: Scope, path: str) -> Response | None:
        headers = Headers(scope=scope)
        method = str(scope.get("method", "GET"))
        foreign = foreign_refusal(headers, method, self._settings)
        if foreign is not None:
            return foreign
        matching = (route for route in self._routes if route.kind == scope["type"] and route.matches(path))
        route = next(matching, None)
        if route is None:
            return self._unknown(scope, path)
        if method not in SHOWN:
            return plain_error(405, "Method Not Allowed.", "METHOD_NOT_ALLOWED", "Pages take GET and HEAD.")
        if scope["type"] == HTTP and announced_bytes(scope) > MOST_BODY_BYTES:
            return plain_error(413, "A page takes no body.", "BODY_TOO_LARGE", "Send files with POST /api/upload.")
        if route.users is Users.ADMITTED and not self._settings.pages_open:
            beside = {**scope, "root_path": self._settings.root_path + BESIDE_PAGES}
            if not has_access(beside, headers, self._settings):
                return plain_error(401, "This server requires a key.", "UNAUTHORIZED", "Open a page and send the key.")
        return None

    def _unknown(self, scope: Scope, path: str) -> Response:
        """A redirect from `/jobs/` to `/jobs`, else 404."""
        page = path.rstrip("/")
        if scope["type"] == HTTP and page != path and any(route.path == page for route in self._routes):
            query = scope.get("query_string", b"").decode("latin-1")
            return RedirectResponse(f"{self._settings.root_path}{page}{'?' if query else ''}{query}")
        return plain_error(404, "There is no such page.", "NOT_FOUND", f"Start at {self._settings.root_path}/.")

    async def _open_websocket(self, refusal: Response | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand it to Streamlit, if it is not refused and there is a place."""
        if refusal is not None:
            await _refuse_websocket(refusal, scope, receive, send)
            return
        try:
            with self._websockets.hold(client_of(scope)):
                await self._inner(scope, receive, send)
        except (ClientBusy, ServerBusy) as error:  # Streamlit raises neither
            await _refuse_websocket(error_response(error), scope, receive, send)

    def _dressed(self, scope: Scope, path: str, send: Send) -> Send:
        """`send` with the security headers of the pages."""
        policy = FRAME_POLICY if path == FRAME else self._policy

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", policy)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "same-origin")
                secured(headers, scope)
            await send(message)

        return dressed


async def _refuse_websocket(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the handshake with an ordinary response, where the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await refusal(scope, receive, send)

"""Every address of the pages' port outside /api (which has its own guard), and who may use it.

Streamlit serves more than the pages need: an upload into memory, an interface for agents, logins, metrics. Whatever is
not listed here is answered with 404 before Streamlit sees it. tests/serve/test_page_routes.py compares the tables with
Streamlit's own routes.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

ASSETS: Final = "/assets"
"""Where our own scripts and styles are."""

HTTP: Final = "http"
WEBSOCKET: Final = "websocket"
"""Kinds of an ASGI scope."""


class Users(enum.Enum):
    """Who may use a route."""

    EVERYONE = "everyone"
    ADMITTED = "browsers with access to the pages"


@dataclass(frozen=True, kw_only=True)
class PageRoute:
    """path: below ROOT_PATH; with a final slash, everything below it. HTTP routes take GET and HEAD."""

    path: str
    users: Users
    purpose: str
    kind: str = HTTP

    def matches(self, path: str) -> bool:
        """Whether a request's path belongs to it."""
        if self.path == "/" or not self.path.endswith("/"):
            return path == self.path
        return path.startswith(self.path) and path != self.path


STREAM: Final = PageRoute(
    path="/_stcore/stream", users=Users.EVERYONE, kind=WEBSOCKET, purpose="content of a page, which asks for a key"
)
USED: Final = (
    PageRoute(path="/static/", users=Users.EVERYONE, purpose="scripts, styles and fonts of Streamlit"),
    PageRoute(path="/favicon.png", users=Users.EVERYONE, purpose="the icon until a page has set its own"),
    PageRoute(path="/_stcore/health", users=Users.EVERYONE, purpose="asked by a page before it connects"),
    PageRoute(path="/_stcore/host-config", users=Users.EVERYONE, purpose="asked by a page before it connects"),
    PageRoute(path="/media/", users=Users.ADMITTED, purpose="pictures and downloads of a page"),
    PageRoute(path="/_stcore/bidi-components/", users=Users.ADMITTED, purpose="the script of stpyvista"),
    STREAM,
)

REFUSED: Final = (
    "/_stcore/upload_file/{session_id}/{file_id}",
    "/_stcore/metrics",
    "/component/{path:path}",
    "/_stcore/agent/interact",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/auth/login",
    "/auth/logout",
    "/oauth2callback",
)
"""Streamlit's other routes, as it declares them. Nobody may use them."""


def page_routes(pages: Collection[str]) -> tuple[PageRoute, ...]:
    """All routes of a server with these pages, `jobs` for /jobs."""
    shells = [PageRoute(path="/", users=Users.EVERYONE, purpose="a new analysis; the empty page asks for a key")]
    shells += [PageRoute(path=f"/{page}", users=Users.EVERYONE, purpose="as /") for page in sorted(pages)]
    assets = PageRoute(path=f"{ASSETS}/", users=Users.EVERYONE, purpose="scripts and styles of Kneebox")
    return (*shells, assets, *USED)

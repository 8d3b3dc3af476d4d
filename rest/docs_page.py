"""/docs: the OpenAPI document as an interactive page, Swagger UI. Every file of it is served locally."""

from __future__ import annotations

from html import escape
from typing import Final

from starlette.responses import HTMLResponse

SWAGGER_SCRIPT: Final = "vendor/swagger-ui-bundle-5.35.0.min.js"
SWAGGER_STYLE: Final = "vendor/swagger-ui-5.35.0.min.css"
START_SCRIPT: Final = "docs.js"
ICON: Final = "icon.png"

ASSETS_ROUTE: Final = "/docs/assets"
"""Where the REST interface serves ui/assets, on its own port and below /api of the pages' port."""

PAGE_ROUTES: Final = tuple(f"{ASSETS_ROUTE}/{name}" for name in (SWAGGER_SCRIPT, SWAGGER_STYLE, START_SCRIPT, ICON))
"""Every file that the page loads. The page is open to everybody, so these are too."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and requests of this server only. Swagger UI sets styles inline and has its icons as data."""


def docs_page(title: str) -> HTMLResponse:
    """The page. Its addresses are relative, so that it works below any path."""
    below = ASSETS_ROUTE.removeprefix("/")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}: REST interface</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" type="image/png" href="{below}/{ICON}">'
        f'<link rel="stylesheet" href="{below}/{SWAGGER_STYLE}"></head><body><div id="swagger-ui"></div>'
        f'<script src="{below}/{SWAGGER_SCRIPT}"></script><script src="{below}/{START_SCRIPT}"></script>'
        "<noscript>This page needs JavaScript. The same document for programs: "
        '<a href="openapi.json">openapi.json</a></noscript></body></html>\n'
    )
    return HTMLResponse(page, headers={"content-security-policy": POLICY})

"""Who may ask: no page of another site, and, where API_KEYS is set, nobody without a key."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.settings import load_settings

OPEN_ROUTES: Final = ("health", "docs", "openapi.json")


class Guard:
    """A page of another site must not change anything here; API_KEYS, where set, are asked for."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        refusal = _refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._inner)(scope, receive, send)


def _refusal(scope: Scope) -> JSONResponse | None:
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    changes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
    if changes and origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return JSONResponse({"detail": "Cross-site request refused.", "error_code": "CROSS_SITE", "hint": ""}, 403)
    keys = load_settings().keys
    if keys and scope["path"].rsplit("/", 1)[-1] not in OPEN_ROUTES:
        given = headers.get("x-api-key", "").encode()
        if sum(hmac.compare_digest(given, key.encode()) for key in keys) == 0:  # every key: equal time
            body = {"detail": "A valid API key is needed.", "error_code": "UNAUTHORIZED", "hint": "Send X-API-Key."}
            return JSONResponse(body, 401)
    return None

"""Scripts, styles and pictures of the pages. Files with a version in their name are cached by the browser."""

from __future__ import annotations

import functools
import gzip
import http
import re
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_VERSIONED: Final = re.compile(r"-\d+(\.\d+)+\.")
KEPT: Final = "public, max-age=31536000, immutable"
ASKED_AGAIN: Final = "no-cache"


PACKED: Final = (".js", ".css", ".svg")


class Assets(StaticFiles):
    """A folder of files with cache headers; text is sent as gzip if the browser accepts it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Starlette's response, compressed if possible."""
        response = await super().get_response(path, scope)
        file = Path(getattr(response, "path", ""))
        if response.status_code == http.HTTPStatus.OK and file.suffix in PACKED and _takes_gzip(scope):
            packed = await to_thread.run_sync(_packed, file, file.stat().st_mtime_ns)
            kept = {name: response.headers[name] for name in ("etag", "last-modified", "content-type")}
            response = Response(packed, headers=kept | {"content-encoding": "gzip"})
        response.headers["vary"] = "accept-encoding"
        response.headers["cache-control"] = KEPT if _VERSIONED.search(path) else ASKED_AGAIN
        response.headers["x-content-type-options"] = "nosniff"
        return response


def _takes_gzip(scope: Scope) -> bool:
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


@functools.lru_cache(maxsize=64)
def _packed(path: Path, changed: int) -> bytes:  # noqa: ARG001 -- part of the cache key
    return gzip.compress(path.read_bytes(), 6, mtime=0)

"""Scripts, styles and pictures of the pages. What has a version in its name is kept by the browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_VERSIONED: Final = re.compile(r"-\d+(\.\d+)+\.")
KEPT: Final = "public, max-age=31536000, immutable"
ASKED_AGAIN: Final = "no-cache"


class Assets(StaticFiles):
    """A folder of files, with how long each may be kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Starlette's answer, with how long it may be kept."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = KEPT if _VERSIONED.search(path) else ASKED_AGAIN
        response.headers["x-content-type-options"] = "nosniff"
        return response

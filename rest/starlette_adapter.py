"""The private part of Starlette that the REST interface relies on: the parser of Range headers in FileResponse.

tests/rest/test_adapters.py fails when Starlette changes it.
"""

from __future__ import annotations

import http

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable


class RangedFile(FileResponse):
    """A file, or ranges of it. A malformed Range header is ignored, as RFC 9110 allows; an unsatisfiable one is
    answered with 416.
    """

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable as error:
            code = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            raise HTTPException(code, headers={"content-range": f"bytes */{error.max_size}"}) from None

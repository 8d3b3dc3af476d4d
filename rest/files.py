"""Files of a job's results on the wire."""

from __future__ import annotations

import gzip
import http
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response, StreamingResponse

from jobs.errors import ResultNotFound

COMPRESSIBLE: Final = (".vtp", ".ply", ".json", ".csv", ".html", ".txt")
PIECE_BYTES: Final = 1024 * 1024


class RangedFile(FileResponse):
    """A file, or ranges of it. A Range header that cannot be read is ignored, as RFC 9110 allows."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable as error:
            code = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            raise HTTPException(code, headers={"content-range": f"bytes */{error.max_size}"}) from None


def file_response(path: Path, headers: Headers, media_type: str | None = None, filename: str | None = None) -> Response:
    """Text and surfaces are compressed on the way where the client takes that; else the file or ranges of it.

    Raises ResultNotFound where the file has just gone.
    """
    try:
        state = path.stat()
    except OSError:
        raise ResultNotFound("The results of this job are no longer there.", hint="Upload the scan again.") from None
    attached = filename or (path.name if path.suffix == ".html" else None)
    plain = RangedFile(path, media_type=media_type, filename=attached, stat_result=state)
    if path.suffix not in COMPRESSIBLE or "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return plain
    kept = {name: plain.headers[name] for name in ("last-modified", "content-disposition") if name in plain.headers}
    kept |= {"content-encoding": "gzip", "vary": "accept-encoding"}
    return StreamingResponse(_compressed(path), media_type=plain.media_type, headers=kept)


def packed_response(path: Path, name: str) -> Response:
    """A file that is stored as gzip, sent as it is stored; every browser unpacks it.

    Raises ResultNotFound where the file has just gone.
    """
    try:
        state = path.stat()
    except OSError:
        raise ResultNotFound("The results of this job are no longer there.", hint="Upload the scan again.") from None
    kind = "application/json" if name.endswith(".json") else "application/octet-stream"
    return FileResponse(path, media_type=kind, stat_result=state, headers={"content-encoding": "gzip"})


def _compressed(path: Path) -> Iterator[bytes]:
    """A file as gzip, in pieces."""
    sink = io.BytesIO()
    with path.open("rb") as source, gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=5, mtime=0) as packer:
        while piece := source.read(PIECE_BYTES):
            packer.write(piece)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()

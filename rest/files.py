"""Responses with files of a job's results."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response, StreamingResponse

from jobs.errors import ResultNotFound
from pipeline.results_tree import BINARY, HTML, ViewFile, artifact_of
from rest.starlette_adapter import RangedFile

PIECE_BYTES: Final = 1024 * 1024


def artifact_response(path: Path, name: str, headers: Headers) -> Response:
    """A file of the results tree under its path in the tree, `name`. Raises ResultNotFound if it has been deleted."""
    artifact = artifact_of(name)
    if artifact is None:
        return file_response(path, headers, BINARY)
    filename = path.name if artifact.media_type == HTML else None
    return file_response(path, headers, artifact.media_type, filename, compress=not artifact.compressed)


def file_response(
    path: Path, headers: Headers, media_type: str, filename: str | None = None, *, compress: bool = False
) -> Response:
    """The file or ranges of it; with `compress` and a client that accepts gzip, the whole file as gzip.

    Raises ResultNotFound if the file has been deleted.
    """
    try:
        state = path.stat()
    except OSError:
        raise ResultNotFound("The results of this job no longer exist.", hint="Upload the scan again.") from None
    plain = RangedFile(path, media_type=media_type, filename=filename, stat_result=state)
    if not compress or "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return plain
    kept = {name: plain.headers[name] for name in ("last-modified", "content-disposition") if name in plain.headers}
    kept |= {"content-encoding": "gzip", "vary": "accept-encoding"}
    return StreamingResponse(_compressed(path), media_type=plain.media_type, headers=kept)


def packed_response(path: Path, name: str) -> Response:
    """A file stored as gzip, sent unchanged; browsers decompress it.

    Raises ResultNotFound if the file has been deleted.
    """
    try:
        state = path.stat()
    except OSError:
        raise ResultNotFound("The results of this job no longer exist.", hint="Upload the scan again.") from None
    kind = ViewFile(name).media_type
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

"""Downloads a pinned source; files are verified before they get their final names."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from pipeline.digest import SUMS_NAME, sha256_of
from pipeline.errors import ModelError, OptionsError, WeightsCorrupt
from pipeline.weights.sources import LOOPBACK, Source, SourceFile

TIMEOUT_S: Final = 30.0
"""Time-out without data from the hub."""

PIECE: Final = 1 << 20

Progress = Callable[[int, int], None]
"""Receives the downloaded and the total number of bytes."""


def fetch(source: Source, models_dir: Path, token: str = "", on_progress: Progress = lambda *_: None) -> Path:
    """Download a source into `models_dir/<id>` and return that folder; an existing verified one is not changed.

    Raises ModelError if the source is not pinned, the folder contains other files, or the hub is unreachable;
    WeightsCorrupt if the received bytes differ from the pinned ones.
    """
    if source.unpinned:
        raise ModelError(
            f"{source.id} is not pinned: {source.unpinned} is unknown, and unpinned sources are not fetched.",
            hint=f"Write the commit, sizes and digests that the page of {source.repository} shows into "
            "MODELS_DIR/sources.json (models/README.md shows the form).",
        )
    target = models_dir / source.id
    if target.exists():
        _require_same(source, target)
        return target
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    total, here = sum(file.size for file in source.files), 0
    try:
        partial.mkdir(parents=True)
        for file in source.files:
            path = partial / file.place
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(source, file, path, token, _from(on_progress, here, total))
            here += file.size
        sums = "".join(f"{file.sha256}  {file.place}\n" for file in source.files)
        (partial / SUMS_NAME).write_text(sums, encoding="utf-8")
        partial.rename(target)
    except OSError as error:
        raise ModelError(f"{source.id} cannot be written: {error.strerror or type(error).__name__}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _from(on_progress: Progress, here: int, total: int) -> Callable[[int], None]:
    """Convert the progress of one file to that of all files."""
    return lambda done: on_progress(here + done, total)


def _require_same(source: Source, target: Path) -> None:
    for file in source.files:
        path = target / file.place
        if not path.is_file() or sha256_of(path) != file.sha256:
            raise ModelError(
                f"{source.id} already exists, but its {file.place} differs from the pinned file.",
                hint="Move the folder away, then fetch again.",
            )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects of a hub over TLS only, and never sends the token to another host."""

    def redirect_request(
        self,
        request: urllib.request.Request,
        stream: IO[bytes],
        code: int,
        message: str,
        headers: http.client.HTTPMessage,
        address: str,
    ) -> urllib.request.Request | None:
        before, after = urlsplit(request.full_url), urlsplit(address)
        if after.scheme != "https" and after.hostname not in LOOPBACK:
            raise urllib.error.URLError("it redirects to an address without TLS")
        following = super().redirect_request(request, stream, code, message, headers, address)
        if following is not None and (before.scheme, before.netloc) != (after.scheme, after.netloc):
            following.remove_header("Authorization")
        return following


def _download(source: Source, file: SourceFile, path: Path, token: str, on_progress: Callable[[int], None]) -> None:
    """Download one file to `path`. Raises ModelError or WeightsCorrupt."""
    request = urllib.request.Request(source.address(file), headers={"User-Agent": "kneebox"})  # noqa: S310  see _source
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(_Redirects)
    digest, size = hashlib.sha256(), 0
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer, path.open("wb") as stream:
            while piece := _piece(answer):
                size += len(piece)
                if size > file.size:
                    break
                digest.update(piece)
                stream.write(piece)
                on_progress(size)
    except urllib.error.HTTPError as error:
        raise ModelError(
            f"{source.hub} answers {error.code} for {file.path} of {source.repository}.",
            hint=source.access if error.code in (401, 403) else "",
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise ModelError(
            f"{source.hub} cannot be reached: {reason}.",
            hint="Fetch the files on another machine and copy them into MODELS_DIR (models/README.md).",
        ) from error
    if size != file.size or digest.hexdigest() != file.sha256:
        found = f"more than {file.size}" if size > file.size else f"{size}"
        raise WeightsCorrupt(
            f"{file.place} came with {found} bytes and SHA-256 {digest.hexdigest()[:12]}…; "
            f"pinned are {file.size} bytes and {file.sha256[:12]}…. Nothing was kept."
        )


def _piece(answer: Any) -> bytes:
    piece: bytes = answer.read(PIECE)
    return piece


def read_token(path: Path | None) -> str:
    """The first line of a token file. Raises OptionsError if it cannot be read."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip().split("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionsError(f"The token file {path.name} cannot be read: {type(error).__name__}.") from error

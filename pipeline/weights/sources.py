"""Download sources of weights: models/sources.json, overridden by the operator's MODELS_DIR/sources.json.

A source is pinned if it has a revision (a commit, 40 hex digits) and the size and SHA-256 of every file. Only pinned
sources are fetched, because the content of a branch such as `main` can change.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pipeline.errors import ModelError, OptionsError
from pipeline.segmentation.card import BUILT_IN_WEIGHTS

NAME: Final = "sources.json"

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Hosts that may be contacted without TLS."""

_ID: Final = r"(nsm/)?[A-Za-z0-9_][A-Za-z0-9._-]*"


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file: its path below the model's folder, its path on the hub, digest and size ("" and 0: not pinned)."""

    place: str
    path: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder of MODELS_DIR available on a hub. id: the path of the folder; access: what a user must do first."""

    id: str
    title: str
    hub: str
    repository: str
    access: str
    revision: str
    files: tuple[SourceFile, ...]

    @property
    def unpinned(self) -> str:
        """The missing parts of the pin, as text; "" if the source is pinned."""
        if not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            return "its revision"
        missing = [f.place for f in self.files if not re.fullmatch(r"[0-9a-f]{64}", f.sha256) or f.size <= 0]
        return f"SHA-256 and size of {', '.join(missing)}" if missing else ""

    def address(self, file: SourceFile) -> str:
        return f"{self.hub}/{self.repository}/resolve/{self.revision}/{quote(file.path)}"


def read_sources(models_dir: Path | None) -> dict[str, Source]:
    """Id -> source; entries of the operator's file replace built-in ones. Raises ModelError if a file is invalid."""
    found: dict[str, Source] = {}
    for folder in (BUILT_IN_WEIGHTS, models_dir):
        if folder is None or not (folder / NAME).is_file():
            continue
        try:
            data = json.loads((folder / NAME).read_text(encoding="utf-8"))
            found |= {name: _source(name, entry) for name, entry in data.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{NAME} cannot be read: {type(error).__name__}: {error}.") from error
    return found


def source(name: str, models_dir: Path | None) -> Source:
    """The source with this id. Raises OptionsError if it is unknown."""
    known = read_sources(models_dir)
    if name not in known:
        raise OptionsError(f"There is no source named {name!r}; expected one of {', '.join(sorted(known))}.")
    return known[name]


def _source(name: str, entry: dict[str, Any]) -> Source:
    """Raises ValueError if a path could be outside the model's folder, or an address is without TLS."""
    if not re.fullmatch(_ID, name):
        raise ValueError(f"id {name!r} is not a folder's name, with or without nsm/ before it")
    hub = str(entry["hub"]).rstrip("/")
    parts = urlsplit(hub)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"hub {hub!r} of {name} is not an https address")
    if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", str(entry["repository"])):
        raise ValueError(f"repository {entry['repository']!r} of {name} is not OWNER/NAME")
    files = tuple(
        SourceFile(
            place=_inside(place),
            path=_inside(str(item.get("path", place))),
            sha256=str(item.get("sha256", "")).lower(),
            size=int(item.get("bytes", 0)),
        )
        for place, item in entry["files"].items()
    )
    if not files:
        raise ValueError(f"{name} lists no files")
    return Source(
        id=name,
        title=str(entry.get("title", name)),
        hub=hub,
        repository=str(entry["repository"]),
        access=str(entry.get("access", "")),
        revision=str(entry.get("revision", "")).lower(),
        files=files,
    )


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or "\\" in path or any(part in ("..", ".") for part in path.split("/")):
        raise ValueError(f"{path!r} is not a path inside a folder")
    return "/".join(parts)

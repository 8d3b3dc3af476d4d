"""DATA_DIR/access/: people, sessions, keys, projects and links, each a small JSON file that is replaced as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from jobs.errors import StorageFull
from jobs.settings import load_settings
from pipeline.workspace import write_json

ACCESS: Final = "access"
"""Folder in the data directory, only for this user of the system."""

TOKEN_BYTES: Final = 32
Json = dict[str, Any]  # Any: what JSON holds
_NAME: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


class Kind(StrEnum):
    """What is kept; the names of the folders."""

    PEOPLE = "people"
    SESSIONS = "sessions"
    KEYS = "keys"
    PROJECTS = "projects"
    LINKS = "links"


BACKED_UP: Final = (Kind.PEOPLE, Kind.KEYS, Kind.PROJECTS, Kind.LINKS)
"""Sessions are not: everybody signs in again."""


def new_id() -> str:
    """32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_token() -> str:
    """256 random bits as text for an address or a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def fingerprint(token: str) -> str:
    """What is kept of a token: it cannot be made into the token again."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def read(kind: Kind, name: str) -> Json | None:
    """A file; None if there is none, or for a name that cannot be one."""
    if not _NAME.fullmatch(name):
        return None
    try:
        found = json.loads(_path(kind, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(kind: Kind, name: str, content: Json) -> None:
    """Raises StorageFull."""
    path = _path(kind, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(path, content)
        path.chmod(0o600)
    except OSError as error:
        raise StorageFull("The server cannot store this.", hint="Try again later.") from error


def remove(kind: Kind, name: str) -> bool:
    """Whether there was one."""
    if not _NAME.fullmatch(name):
        return False
    try:
        _path(kind, name).unlink()
    except FileNotFoundError:
        return False
    return True


def every(kind: Kind) -> Iterator[tuple[str, Json]]:
    """Name and content of all of a kind, in no order."""
    folder = load_settings().data_dir / ACCESS / kind
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            name = path.name.removesuffix(".json")
            content = read(kind, name)
            if content is not None:
                yield name, content


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """While something is read, changed and written back. Raises StorageFull."""
    folder = load_settings().data_dir / ACCESS
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFull("The server cannot store this.", hint="Try again later.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _path(kind: Kind, name: str) -> Path:
    return load_settings().data_dir / ACCESS / kind / f"{name}.json"

"""Keys of people for programs: shown once, kept as a digest, revoked at any time. The operator's are in API_KEYS."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from jobs.access import files
from jobs.access.files import Kind
from jobs.access.people import LONGEST, person
from jobs.access.viewer import Viewer, viewer
from jobs.errors import NotAllowed
from pipeline.errors import OptionsError

PREFIX: Final = "knee_"
"""Of every key of a person, so that programs that look for leaked secrets find it."""

LIFETIME_DAYS: Final = 365
MOST: Final = 20
"""Keys of one person."""

_KEY: Final = re.compile(r"knee_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key without its secret; name: the person's words for it."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime


def make_key(name: str) -> str:
    """A new key of the person who asks, which is shown this once. Raises NotAllowed, OptionsError, StorageFull."""
    who = _person()
    words = " ".join(name.split())[:LONGEST]
    if not words or not words.isprintable():
        raise OptionsError("The key has no name; expected what it is for, such as 'nightly script'.", option="name")
    with files.locked():
        if len(my_keys()) >= MOST:
            raise NotAllowed(f"You have {MOST} keys, the most that a person may have.", hint="Revoke one of them.")
        key = PREFIX + files.new_token()
        created = time.time()
        content = {"person": who, "name": words, "created": created, "ends": created + LIFETIME_DAYS * 86_400}
        files.write(Kind.KEYS, files.fingerprint(key), content)
    return key


def my_keys() -> list[Key]:
    """Of the person who asks, the newest first. Raises NotAllowed."""
    who = _person()
    found = [
        Key(
            id=name,
            name=str(content["name"]),
            created_at=datetime.fromtimestamp(content["created"], UTC),
            expires_at=datetime.fromtimestamp(content["ends"], UTC),
        )
        for name, content in files.every(Kind.KEYS)
        if content.get("person") == who
    ]
    return sorted(found, key=lambda key: key.created_at, reverse=True)


def revoke_key(key_id: str) -> None:
    """End a key of the person who asks; one that is not theirs is ignored. Raises NotAllowed."""
    content = files.read(Kind.KEYS, key_id)
    if content is not None and content.get("person") == _person():
        files.remove(Kind.KEYS, key_id)


def viewer_with(key: str) -> Viewer | None:
    """The person with this key; None if it is none, has ended, or its person was forgotten."""
    if not _KEY.fullmatch(key):
        return None
    found = files.read(Kind.KEYS, files.fingerprint(key))
    if found is None or float(found["ends"]) < time.time() or person(found["person"]) is None:
        return None
    return Viewer(person=found["person"])


def revoke_all(person_id: str) -> int:
    """End the keys of a person; returns their number."""
    ended = [name for name, found in files.every(Kind.KEYS) if found.get("person") == person_id]
    return sum(files.remove(Kind.KEYS, name) for name in ended)


def _person() -> str:
    who = viewer().person
    if not who:
        raise NotAllowed("Keys belong to people.", hint="Sign in.")
    return who

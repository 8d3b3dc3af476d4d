"""What a browser has after a sign-in, or after opening a link: a random token in a cookie, of which a digest is kept.

A session ends at a fixed time, at a sign-out, and with `python -m jobs sign-out`; it is looked up at every request.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from jobs.access import files
from jobs.access.files import Kind
from jobs.access.people import person
from jobs.access.viewer import NOBODY, Viewer
from jobs.settings import load_settings

MOST_LINKS: Final = 50
"""Links of one session; the oldest are left out."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def cookie_name() -> str:
    """Of the session. With TLS, the prefix keeps other names of the same domain from setting it."""
    return "__Host-kneebox_session" if secure_cookies() else "kneebox_session"


def secure_cookies() -> bool:
    """Whether people reach the pages with TLS."""
    return load_settings().sign_in_address.startswith("https:")


def lifetime_s() -> int:
    """Of a session."""
    return int(load_settings().sign_in_hours * 3600)


def begin(person_id: str, before: str = "") -> str:
    """A new session of a person; the one that the browser had ends. Returns its token. Raises StorageFull.

    Links that the browser has opened, before a sign-in or as the same person, stay open.
    """
    had = _content(before) or {}
    links = had["links"] if had.get("person") in ("", person_id) else []
    end(before)
    _remove_ended()
    return _write(files.new_token(), {"person": person_id, "links": links, "ends": time.time() + lifetime_s()})


def add_link(token: str, link: str) -> str:
    """Note that a browser has opened a link, in its session or in a new one. Returns the token. Raises StorageFull."""
    with files.locked():
        found = _content(token)
        if found is None:
            _remove_ended()
            found = {"person": "", "links": [], "ends": time.time() + lifetime_s()}
            token = files.new_token()
        links = [*(known for known in found["links"] if known != link), link]
        return _write(token, found | {"links": links[-MOST_LINKS:]})


def viewer_of(token: str) -> Viewer:
    """NOBODY for a token that is not valid, or no longer, and for a person who was forgotten."""
    found = _content(token)
    if found is None or (found["person"] and person(found["person"]) is None):
        return NOBODY
    return Viewer(person=found["person"], links=tuple(found["links"]))


def end(token: str) -> None:
    """End a session; anything else is ignored. Raises StorageFull."""
    if _TOKEN.fullmatch(token):
        with files.locked():  # `add_link` must not write it again afterwards
            files.remove(Kind.SESSIONS, files.fingerprint(token))


def end_all(person_id: str = "") -> int:
    """End the sessions of a person, or of everybody; returns their number. Raises StorageFull."""
    with files.locked():
        all_of = files.every(Kind.SESSIONS)
        ended = [name for name, found in all_of if not person_id or found.get("person") == person_id]
        return sum(files.remove(Kind.SESSIONS, name) for name in ended)


def _content(token: str) -> dict[str, Any] | None:
    if not _TOKEN.fullmatch(token):
        return None
    found = files.read(Kind.SESSIONS, files.fingerprint(token))
    return found if found is not None and float(found["ends"]) > time.time() else None


def _write(token: str, content: dict[str, object]) -> str:
    files.write(Kind.SESSIONS, files.fingerprint(token), content)
    return token


def _remove_ended() -> None:
    for name, found in files.every(Kind.SESSIONS):
        if float(found.get("ends", 0)) < time.time():
            files.remove(Kind.SESSIONS, name)

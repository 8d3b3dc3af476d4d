"""What the doors of the product need to know who asks: rest/guard.py, rest/sign_in.py and ui/parts/access.py."""

from __future__ import annotations

from jobs.access import audit, people, sessions
from jobs.access.audit import Act
from jobs.access.files import ACCESS, new_token
from jobs.access.keys import viewer_with as viewer_with_key
from jobs.access.sessions import add_link, cookie_name, lifetime_s, secure_cookies
from jobs.access.sessions import viewer_of as viewer_in_session
from jobs.access.viewer import NOBODY, OPERATOR, Viewer, acting_for, ask_with, deny_by_default, viewer
from jobs.settings import load_settings
from jobs.state.secret_file import kept_secret

__all__ = [
    "NOBODY",
    "OPERATOR",
    "Viewer",
    "acting_for",
    "add_link",
    "ask_with",
    "begin_session",
    "cookie_name",
    "deny_by_default",
    "end_session",
    "lifetime_s",
    "new_token",
    "secure_cookies",
    "signing_secret",
    "viewer",
    "viewer_in_session",
    "viewer_with_key",
]


def begin_session(issuer: str, subject: str, name: str, email: str, before: str) -> str:
    """A session for a person whom a provider has confirmed; returns its token. Raises StorageFull.

    before: token of the session that the browser had, which ends
    """
    person = people.signed_in(issuer, subject, name, email)
    audit.note(Viewer(person=person.id), Act.SIGNED_IN, f"person:{person.id}")
    return sessions.begin(person.id, before)


def end_session(token: str) -> None:
    """Sign out. Raises StorageFull."""
    who = sessions.viewer_of(token)
    sessions.end(token)
    if who.known:
        audit.note(who, Act.SIGNED_OUT, who.name)


def signing_secret() -> bytes:
    """Of this data directory, for the cookie between the two halves of a sign-in."""
    return kept_secret(load_settings().data_dir / ACCESS / "sign_in_secret")

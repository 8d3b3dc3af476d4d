"""Links: an analysis or a study that anyone with the link may see, and invitations to a project. Each can be revoked.

The secret of a link is after the # of its address, which a browser does not send: it is in no log of a server. A digest
of it is kept.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jobs.access import files
from jobs.access.files import Kind
from jobs.access.held import Held, HeldKind
from jobs.access.projects import Role, role_in, set_member
from jobs.access.viewer import viewer
from jobs.errors import LinkNotFound, NotAllowed
from jobs.settings import load_settings
from pipeline.errors import OptionsError

INVITATION_DAYS: Final = 7
LONGEST_DAYS: Final = 3660
MOST: Final = 50
"""Links of one analysis, study or project."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link without its secret. role: of an invitation; expires_at: None for no limit."""

    id: str
    kind: HeldKind
    about: str
    role: str
    created_at: datetime
    expires_at: datetime | None


def make_link(held: Held, days: float | None = None, role: Role | None = None) -> tuple[Link, str]:
    """A new link and its address: the only time that it is shown. Raises OptionsError, NotAllowed, StorageFull.

    days: until it ends; None: no limit
    """
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise OptionsError(
            f"The link ends after {days:g} days; expected more than 0, at most {LONGEST_DAYS}.", option="days"
        )
    if len(links_of(held)) >= MOST:
        raise NotAllowed(f"There are {MOST} links, the most that are possible.", hint="Revoke one of them.")
    identity, secret, created = files.new_id(), files.new_token(), time.time()
    content = {
        "kind": held.kind.value,
        "about": held.group,
        "role": role.value if role else "",
        "secret": files.fingerprint(secret),
        "by": viewer().name,
        "created": created,
        "ends": None if days is None else created + days * 86_400,
    }
    files.write(Kind.LINKS, identity, content)
    return _link(identity, content), f"{load_settings().public_address}/link#{identity}.{secret}"


def links_of(held: Held) -> list[Link]:
    """The links that are valid, the newest first."""
    found = [_link(name, item) for name, item in files.every(Kind.LINKS) if _is_about(item, held) and _valid(item)]
    return sorted(found, key=lambda link: link.created_at, reverse=True)


def link(link_id: str) -> Link | None:
    """None for one that is unknown, was revoked, or has ended."""
    found = files.read(Kind.LINKS, link_id)
    return _link(link_id, found) if found is not None and _valid(found) else None


def revoke_link(link_id: str) -> None:
    """It gives nobody access from now on."""
    files.remove(Kind.LINKS, link_id)


def remove_links(held: Held) -> None:
    """All links of something that was deleted; those that have ended too."""
    for name, found in files.every(Kind.LINKS):
        if _is_about(found, held) or not _valid(found):
            files.remove(Kind.LINKS, name)


def open_link(token: str) -> Link:
    """The link with this secret; an invitation is accepted by the person who asks, and used up.

    Raises LinkNotFound; NotAllowed for an invitation without sign-in.
    """
    identity, _, secret = token.partition(".")
    with files.locked():
        found = files.read(Kind.LINKS, identity)
        right = hmac.compare_digest(files.fingerprint(secret), "" if found is None else str(found["secret"]))
        if found is None or not right or not _valid(found):
            raise LinkNotFound("There is no such link: it was revoked, was used, or has ended.")
        opened = _link(identity, found)
        if opened.kind is HeldKind.PROJECT:
            if not viewer().person:
                raise NotAllowed("An invitation to a project is for people who have signed in.", hint="Sign in.")
            files.remove(Kind.LINKS, identity)
    if opened.kind is HeldKind.PROJECT and role_in(opened.about, viewer().person) is not Role.OWNER:
        set_member(opened.about, viewer().person, Role(opened.role))
    return opened


def opens(link_id: str, held: Held) -> bool:
    """Whether a link that a browser has opened shows this."""
    found = files.read(Kind.LINKS, link_id)
    return found is not None and _valid(found) and _is_about(found, held) and held.kind is not HeldKind.PROJECT


def _is_about(found: dict[str, Any], held: Held) -> bool:
    return bool(found.get("kind") == held.kind and found.get("about") == held.group)


def _valid(found: dict[str, Any]) -> bool:
    ends = found.get("ends")
    return ends is None or float(ends) > time.time()


def _link(identity: str, found: dict[str, Any]) -> Link:
    ends = found.get("ends")
    return Link(
        id=identity,
        kind=HeldKind(found["kind"]),
        about=str(found["about"]),
        role=str(found.get("role", "")),
        created_at=datetime.fromtimestamp(found["created"], UTC),
        expires_at=None if ends is None else datetime.fromtimestamp(ends, UTC),
    )

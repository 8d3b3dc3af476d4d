"""People who have signed in. A person is an issuer and a subject; everything else names only the id made from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from jobs.access import files
from jobs.access.files import Kind
from jobs.state.clock import now

LONGEST: int = 200


@dataclass(frozen=True, kw_only=True)
class Person:
    """id: made from issuer and subject; name, email: as the provider gave them last; first, last: times of sign-ins"""

    id: str
    issuer: str
    subject: str
    name: str = ""
    email: str = ""
    first: str = ""
    last: str = ""

    @property
    def title(self) -> str:
        """What other members of a project see."""
        return self.name or self.email or f"Person {self.id[:8]}"


def person_id(issuer: str, subject: str) -> str:
    """Always the same for a person. Names and addresses can change and be given to others; these two cannot."""
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()[:32]


def signed_in(issuer: str, subject: str, name: str, email: str) -> Person:
    """Note a sign-in. Raises StorageFull."""
    identity, moment = person_id(issuer, subject), now().isoformat(timespec="seconds")
    before = person(identity)
    found = Person(
        id=identity,
        issuer=issuer,
        subject=subject,
        name=_printable(name),
        email=_printable(email),
        first=before.first if before else moment,
        last=moment,
    )
    files.write(Kind.PEOPLE, identity, asdict(found))
    return found


def person(identity: str) -> Person | None:
    """None for somebody who never signed in, or was forgotten."""
    found = files.read(Kind.PEOPLE, identity)
    try:
        return None if found is None else Person(**found)
    except TypeError:
        return None


def people() -> list[Person]:
    """Everybody who has signed in, the last one first."""
    found = [known for name, _ in files.every(Kind.PEOPLE) if (known := person(name)) is not None]
    return sorted(found, key=lambda item: item.last, reverse=True)


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:LONGEST].strip()

"""What a viewer may do with something that belongs to somebody."""

from __future__ import annotations

from enum import IntEnum

from jobs.access.held import Held, HeldKind
from jobs.access.links import opens
from jobs.access.projects import Role, role_in
from jobs.access.viewer import Viewer


class Right(IntEnum):
    """Each includes those before it."""

    NONE = 0
    SEE = 1
    CHANGE = 2


def right_on(held: Held, who: Viewer) -> Right:
    """The operator may do everything; owners too, also those of its project; readers of the project, and browsers that
    have opened a link to it, may see it.
    """
    if who.operator:
        return Right.CHANGE
    if who.person and held.owner == who.person:
        return Right.CHANGE
    place = held.id if held.kind is HeldKind.PROJECT else held.owner
    role = role_in(place, who.person)
    if role is not None:
        return Right.CHANGE if role is Role.OWNER else Right.SEE
    return Right.SEE if any(opens(link_id, held) for link_id in who.links) else Right.NONE

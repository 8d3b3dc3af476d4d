"""Who asks: set by the doors (rest/guard.py, ui/parts/access.py), read where something is looked up or made.

Without sign-in everybody may do everything, as far as the doors let them in. With sign-in, the command line and the
workers act for the operator; a process that serves others calls `deny_by_default` or `ask_with`, so that a request
whose viewer was not set has no rights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from jobs.settings import load_settings


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """person: id of a person; links: ids of the links that this browser has opened; operator: has every right

    server: nobody asked; for the audit log
    """

    person: str = ""
    links: tuple[str, ...] = ()
    operator: bool = False
    server: bool = False

    @property
    def known(self) -> bool:
        """Whether it is anybody: a person, the operator, or somebody with a link."""
        return self.operator or bool(self.person or self.links)

    @property
    def name(self) -> str:
        """For the audit log: an id, no name of a person."""
        if self.operator:
            return "server" if self.server else "operator"
        return f"person:{self.person}" if self.person else f"link:{self.links[-1]}" if self.links else "nobody"


OPERATOR: Final = Viewer(operator=True)
SERVER: Final = Viewer(operator=True, server=True)
NOBODY: Final = Viewer()

_set: ContextVar[Viewer | None] = ContextVar("viewer", default=None)
_asked: list[Callable[[], Viewer]] = []


def viewer() -> Viewer:
    """Who asks now."""
    if not load_settings().sign_in:
        return OPERATOR
    found = _set.get()
    if found is not None:
        return found
    return _asked[-1]() if _asked else OPERATOR


@contextlib.contextmanager
def acting_for(who: Viewer) -> Iterator[None]:
    """Everything in the block is done for this viewer, also in threads that inherit its context."""
    token = _set.set(who)
    try:
        yield
    finally:
        _set.reset(token)


def deny_by_default() -> None:
    """In this process, nobody is the viewer unless one is set or can be asked for."""
    _asked.insert(0, lambda: NOBODY)


def ask_with(find: Callable[[], Viewer]) -> None:
    """In this process, `find` gives the viewer where none is set: the browser of a page, say."""
    _asked.append(find)


def new_owner() -> str:
    """To whom something belongs that is made now: a person, or empty for the operator and without sign-in."""
    return viewer().person

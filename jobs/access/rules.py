"""The one check of who may do what: `jobs.service` gives every operation to `permitted` before others can call it.

An operation on something of others answers as for an unknown id. One that the viewer may see and not change raises
NotAllowed. Without sign-in, nothing is looked up.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, ParamSpec, TypeVar

from jobs.access import audit
from jobs.access.audit import Act
from jobs.access.held import Held, HeldKind
from jobs.access.rights import Right, right_on
from jobs.access.viewer import Viewer, viewer
from jobs.errors import JobNotFound, NotAllowed, SignInOff, StudyNotFound
from jobs.settings import load_settings

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Find = Callable[[Any], Iterable[Held]]
"""What the value of a parameter names. Raises the error for an unknown id."""

NEEDED: Final = {Act.SAW: Right.SEE, Act.EXPORTED: Right.SEE}
"""All other acts need Right.CHANGE."""

CHECKED: Final = "checked_parameters"
"""Attribute of a permitted operation, for the test that none was forgotten."""


def permitted(
    act: Act,
    *,
    makes: HeldKind | None = None,
    needs_sign_in: bool = False,
    right: Right | None = None,
    person: bool = False,
    **finds: Find,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Check, and note in the audit log, what a viewer does with an operation.

    finds  name of a parameter -> what its value names
    person  only for people and the operator, as everything that names nothing is
    makes  what the result is, whose id is noted
    right  that is needed; None: that of the act
    needs_sign_in  raise SignInOff on a server without sign-in
    """

    def wrap(operation: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(operation)
        assert finds.keys() <= signature.parameters.keys(), operation  # noqa: S101 -- an error of the program

        @functools.wraps(operation)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if not load_settings().sign_in:
                if needs_sign_in:
                    raise SignInOff("People do not sign in to this server.")
                return operation(*args, **kwargs)
            who = viewer()
            given = signature.bind(*args, **kwargs).arguments if finds else {}
            held = [item for name, find in finds.items() if name in given for item in find(given[name])]
            for item in held:
                _require(who, item, NEEDED.get(act, Right.CHANGE) if right is None else right)
            if (person or not finds) and not (who.operator or who.person):
                raise NotAllowed("A link shows something; it does not allow this.", hint="Sign in.")
            for name in dict.fromkeys(item.name for item in held):
                audit.note(who, act, name, operation.__name__)
            result = operation(*args, **kwargs)
            if makes is not None:
                audit.note(who, Act.CREATED, f"{makes}:{result.id}", operation.__name__)  # type: ignore[attr-defined]
            return result

        setattr(checked, CHECKED, frozenset(finds))
        return checked

    return wrap


def with_sign_in(operation: Callable[P, R]) -> Callable[P, R]:
    """Anybody may use it, on a server to which people sign in."""

    @functools.wraps(operation)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not load_settings().sign_in:
            raise SignInOff("People do not sign in to this server.")
        return operation(*args, **kwargs)

    setattr(checked, CHECKED, frozenset())
    return checked


def only_visible(find: Callable[[str], Held]) -> Callable[[Callable[P, list[T]]], Callable[P, list[T]]]:
    """Leave out of a list what its viewer may not see. find: by the `id` of an entry"""

    def wrap(operation: Callable[P, list[T]]) -> Callable[P, list[T]]:
        @functools.wraps(operation)
        def checked(*args: P.args, **kwargs: P.kwargs) -> list[T]:
            found = operation(*args, **kwargs)
            who = viewer()
            return found if who.operator else [item for item in found if _right(find, item.id, who) >= Right.SEE]  # type: ignore[attr-defined]

        setattr(checked, CHECKED, frozenset())
        return checked

    return wrap


def may_change(find: Callable[[str], Held], identity: str) -> bool:
    """Whether the viewer may change what has this id; False for an unknown one."""
    who = viewer()
    return who.operator or _right(find, identity, who) >= Right.CHANGE


def _right(find: Callable[[str], Held], identity: str, who: Viewer) -> Right:
    try:
        return right_on(find(identity), who)
    except (JobNotFound, StudyNotFound):
        return Right.NONE


def one(find: Callable[[str], Held]) -> Find:
    """For a parameter that is an id."""
    return lambda value: (find(str(value)),)


def each(find: Callable[[str], Held]) -> Find:
    """For a parameter that is a collection of ids."""
    return lambda values: [find(str(value)) for value in values]


def _require(who: Viewer, held: Held, needed: Right) -> None:
    right = right_on(held, who)
    if right >= needed:
        return
    audit.note(who, Act.REFUSED, held.name)
    if right is Right.NONE:
        raise held.missing()
    raise NotAllowed("You may see this, and not change it.")

"""Parts of products: results of functions that need not be computed again while their arguments stay the same.

A module that makes a product computes its parts through `Parts`. In an analysis these are kept (kept_parts.py), so
that a corrected version takes what its edit did not change; elsewhere they are computed each time (COMPUTED). The
function of a part is one of a module, and everything that decides its result is in its arguments and in the version of
the step.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

PREFIX: Final = "part"
"""First part of the names of files of kept parts in work/, followed by a dot."""


class Parts(Protocol):
    """Where the parts of products come from."""

    def value(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """The result of the function; its arrays must not be changed."""
        ...

    def file(self, write: Callable[Concatenate[Path, P], object], path: Path, *args: P.args, **named: P.kwargs) -> None:
        """The file that `write` makes at the path from the other arguments; none if it makes none."""
        ...


class _Computed:
    def value(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        return function(*args, **named)

    def file(self, write: Callable[Concatenate[Path, P], object], path: Path, *args: P.args, **named: P.kwargs) -> None:
        write(path, *args, **named)


COMPUTED: Final[Parts] = _Computed()
"""Computes every part."""

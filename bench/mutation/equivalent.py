"""Equivalent mutants: changes that cannot change what the product does. Each is named with its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).with_name("equivalent.toml")

Change = tuple[str, str, str]
"""Module, lines before and lines after; see `change`."""


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """Changes of one line. before: the line; after: what it is changed to; both without indentation."""

    module: str
    before: str
    after: tuple[str, ...]
    reason: str

    @property
    def changes(self) -> set[Change]:
        return {change(self.module, self.before, after) for after in self.after}


def change(module: str, before: str, after: str) -> Change:
    """The change for comparison: without white space, of which the operators add and remove some."""
    return module, "".join(before.split()), "".join(after.split())


def read_equivalent() -> list[Equivalent]:
    """The entries of equivalent.toml: of each module a list of `before`, `after` and `reason`."""
    data = tomllib.loads(PATH.read_text(encoding="utf-8"))
    return [
        Equivalent(module=module, before=entry["before"], after=tuple(entry["after"]), reason=entry["reason"])
        for module, entries in data.items()
        for entry in entries
    ]


def not_made(entries: Iterable[Equivalent], made: set[Change]) -> list[Equivalent]:
    """Entries of these modules with a change that is no longer made: the line was changed or removed."""
    modules = {module for module, _, _ in made}
    return [entry for entry in entries if entry.module in modules and not entry.changes <= made]

"""`make licences`: the licence of every package that the product needs, as the installed packages state it.

Returns 1 if a package is under the GPL or AGPL, or states no licence, and is not listed here with the reason.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
ALLOWED: Final = {"stpyvista": "GPL-3.0; optional second 3D view, see README, 'Licence'"}
"""Packages under the GPL that are accepted, each with the reason."""

STATED_ELSEWHERE: Final[dict[str, str]] = {}
"""Packages without a licence in their metadata, with the licence in their repository."""


class Kind(StrEnum):
    """How far a licence extends to programs that use the package."""

    PERMISSIVE = "permissive"
    WEAK = "weak copyleft"
    STRONG = "GPL"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Package:
    """An installed package with its licence."""

    name: str
    version: str
    licence: str

    @property
    def kind(self) -> Kind:
        """Of its licence; of a choice of licences (OR), the most permissive one."""
        kinds = [_kind(part) for part in re.split(r"\bOR\b", self.licence)]
        return min(kinds, key=list(Kind).index)

    @property
    def accepted(self) -> bool:
        return self.kind in (Kind.PERMISSIVE, Kind.WEAK) or self.name in ALLOWED


@cache
def packages(requirements: Path = ROOT / "requirements.txt") -> list[Package]:
    """The packages in a file and everything that they need here, by name."""
    lines = (line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    waiting = [Requirement(line) for line in lines if line]
    found: dict[str, Package] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        extras = ["", *sorted(wanted.extras)]
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        new = [extra for extra in extras if (name, extra) not in seen]
        seen |= {(name, extra) for extra in new}
        try:
            facts = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            found[name] = Package(name=name, version="", licence="")
            continue
        found[name] = Package(name=name, version=facts.version, licence=_licence(name, facts.metadata))
        waiting += _needs(facts, new)
    return sorted(found.values(), key=lambda package: package.name)


def _needs(facts: metadata.Distribution, extras: list[str]) -> Iterator[Requirement]:
    for text in facts.requires or []:
        needed = Requirement(text)
        marker = needed.marker
        if any(marker is None or marker.evaluate({"extra": extra}) for extra in extras):
            needed.marker = None
            yield needed


def _licence(name: str, facts: metadata.PackageMetadata) -> str:
    """SPDX expression, else the classifiers, else the first line of the licence field."""
    expression = facts.get("License-Expression", "")
    classifiers = [text.rpartition("::")[2].strip() for text in facts.get_all("Classifier") or [] if "License" in text]
    field = (facts.get("License") or "").strip().splitlines()
    return expression or ", ".join(classifiers) or (field[0] if field else "") or STATED_ELSEWHERE.get(name, "")


def _kind(licence: str) -> Kind:
    if not licence.strip() or licence.strip().upper() in ("UNKNOWN", "OSI APPROVED"):
        return Kind.UNKNOWN
    if re.search(r"\b(LGPL|MPL)|Lesser General|Mozilla", licence):
        return Kind.WEAK
    if re.search(r"\bA?GPL|General Public|Affero", licence):
        return Kind.STRONG
    return Kind.PERMISSIVE


def main() -> int:
    """Print one line per package."""
    found = packages()
    for package in found:
        note = "" if package.kind is Kind.PERMISSIVE else f"  <- {package.kind}"
        note += f" ({ALLOWED[package.name]})" if package.name in ALLOWED else ""
        print(f"{package.name:28} {package.version:16} {package.licence[:70]}{note}")
    refused = [package.name for package in found if not package.accepted]
    if refused:
        print(f"not accepted: {', '.join(refused)}", file=sys.stderr)
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())

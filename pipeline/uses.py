"""What the flags of one analysis say about the places that pages, charts and reports show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.anatomy import Region
from pipeline.flags import QualityFlag, Use, deciding_flag, use_of
from pipeline.quantities import Quantity

_WORDS: Final = {Use.NO: "Do not use", Use.CAUTION: "Use with caution"}
_BOTH: Final = {Use.NO: "Do not use values in grey", Use.CAUTION: "Use the others with caution"}
"""Where a table has both."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """The flags of one analysis, or of both in a comparison."""

    flags: tuple[QualityFlag, ...]

    def use(self, quantity: Quantity, region: Region) -> Use:
        """Whether this number of this region may be used."""
        return use_of(quantity.id, region.plate, region.name, self.flags)[0]

    def usable(self, quantity: Quantity, region: Region) -> bool:
        """False: the number must not be used."""
        return self.use(quantity, region) is not Use.NO

    def note(self, quantity: Quantity, region: Region) -> str:
        """`Do not use: slices of 4 mm`; empty where the number may be used."""
        return next(iter(self.notes([(quantity.id, region.plate, region.name)])), "")

    def ban(self, quantity: Quantity, regions: Iterable[Region]) -> str:
        """`Do not use: ...` with each reason that excludes one of the regions; empty where all may be used."""
        excluded = [region for region in regions if not self.usable(quantity, region)]
        return next(iter(self.notes([(quantity.id, region.plate, region.name) for region in excluded])), "")

    def notes(self, rows: Iterable[tuple[str, str, str]]) -> list[str]:
        """At most two lines: the reasons not to use some of these rows, and those to use others with caution.

        rows: quantity (its id), structure, region
        """
        found: dict[Use, dict[str, None]] = {}
        for row in rows:
            flag = deciding_flag(*row, self.flags)
            if flag is not None:
                found.setdefault(flag.use_of(*row), {})[flag.reason] = None
        words = _BOTH if len(found) > 1 else _WORDS
        return [f"{words[use]}: {'; '.join(found[use])}" for use in (Use.NO, Use.CAUTION) if use in found]

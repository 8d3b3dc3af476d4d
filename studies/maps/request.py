"""What a map is made of: a quantity, a visit, and the values of a column that make one or two groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.quantities import THC
from pipeline.relaxation import RELAXATIONS

ALL: Final = ""
"""Of a visit, a column or a value: no choice."""

SEX: Final = "sex"

FIGURES: Final[Mapping[str, str]] = {"thickness_mm": THC.title} | {
    f"{layer.id.lower()}_ms": layer.title for known in RELAXATIONS for layer in (known.deep, known.superficial)
}
"""Name of the values in the flat map of a knee -> title."""


@dataclass(frozen=True, kw_only=True)
class MapRequest:
    """What is mapped.

    figure         of FIGURES; visit: of the rows; ALL: the only one
    column         sex, or a further column of the manifest; first, second: its values. Without a column, all rows are
                   the first group; without a second value there is no difference
    """

    figure: str
    visit: str = ALL
    column: str = ALL
    first: str = ALL
    second: str = ALL

    @property
    def groups(self) -> tuple[str, ...]:
        """The values of the column, one or two."""
        return (self.first, self.second) if self.column and self.second else (self.first,)

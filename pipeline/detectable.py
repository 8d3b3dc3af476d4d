"""The smallest detectable change of a mean thickness.

It is what repeated scans of an unchanged knee differ by at most, 19 times of 20. Outlines of worn plates repeat worse:
it grows with the share of the bone that is denuded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.anatomy import SUMS
from pipeline.quantities import DAB, PRIMARY
from pipeline.types import Measurement


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """Of one model.

    places_mm       `structure/region` -> smallest detectable change, mm, where no bone is denuded
    per_percent_mm  for each percent of the place that is denuded, mm; both are added as independent errors
    """

    places_mm: Mapping[str, float] = field(default_factory=dict)
    per_percent_mm: float = 0.0

    def mm(self, place: str, denuded_percent: float = 0.0) -> float | None:
        """Of a place (`structure/region`); None: not known."""
        known = self.places_mm.get(place)
        return None if known is None else math.hypot(known, self.per_percent_mm * denuded_percent)

    def to_dict(self) -> dict[str, object]:
        return {"places_mm": dict(self.places_mm), "per_percent_mm": self.per_percent_mm}


def denuded_percent(*tables: Iterable[Measurement]) -> dict[str, float]:
    """`structure/region` -> percent of the bone under the plate that is denuded, the largest of several tables.

    Of a sum of regions: the root of the sum of the squares, because its error is that of independent terms.
    """
    found: dict[str, float] = {}
    for table in tables:
        for row in table:
            if (row.quantity, row.method, row.statistic) == (DAB.id, PRIMARY, DAB.main) and math.isfinite(row.value):
                place = f"{row.structure}/{row.region}"
                found[place] = max(found.get(place, 0.0), row.value)
    for total in SUMS:
        terms = [found.get(f"{term.plate}/{term.name}", 0.0) for term in total.terms]
        found[f"{total.plate}/{total.name}"] = math.hypot(*terms)
    return found

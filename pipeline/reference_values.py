"""Published values of groups of people, to be shown beside a measurement: never a diagnosis.

reference_values.json is the one table of them. Readers, sequences and definitions differ: means of one knee by two
readers differ by a tenth. A Z-score is given only where sequence and quantity agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import TIBIA_LATERAL, TIBIA_MEDIAL, Place
from pipeline.anatomy.subregions import SUBREGION_SCHEME, SUMS

PATH: Final = Path(__file__).with_name("reference_values.json")
BAND_SD: Final = 1.96
"""A band holds 95 % of a normal distribution."""
READERS_DIFFER: Final = (
    "Readers, sequences and definitions differ: means of the same knee by two readers differ by a tenth."
)

_SUBREGIONS: Final[tuple[Place, ...]] = (*SUBREGION_SCHEME.regions, *SUMS)
_CODES: Final[Mapping[str, Place]] = MappingProxyType(
    {"MT": TIBIA_MEDIAL, "LT": TIBIA_LATERAL} | {place.name: place for place in _SUBREGIONS}
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Mean and standard deviation over the people of a group; sd None: not published."""

    mean: float
    sd: float | None

    @property
    def band(self) -> tuple[float, float] | None:
        """(low, high) that holds 95 % of the people; None without a standard deviation."""
        if self.sd is None:
            return None
        return self.mean - BAND_SD * self.sd, self.mean + BAND_SD * self.sd


@dataclass(frozen=True, kw_only=True)
class ReferenceGroup:
    """One group of people.

    sex       "male", "female", or "" for both together
    sequence  of the images, as `plane sequence`; in_sequence: of them, where the program knows it
    reader    who outlined; source: publication; caution: why the group may differ from others
    values    (quantity, structure, region) -> reference, in the quantity's unit
    """

    id: str
    title: str
    sex: str
    people: int
    age: str
    sequence: str
    in_sequence: PulseSequence | None
    reader: str
    source: str
    caution: str
    values: Mapping[tuple[str, str, str], Reference]

    @property
    def described(self) -> str:
        """Who, how and by whom, in one paragraph."""
        return (
            f"{self.title}: {self.people} people, {self.age}; {self.sequence}; {self.reader}. Source: {self.source}. "
            f"Note: {self.caution}. {READERS_DIFFER}"
        )

    def of(self, quantity: str, structure: str, region: str) -> Reference | None:
        """The reference of a row of the tables; None where there is none."""
        return self.values.get((quantity, str(structure), region))

    def z_score(
        self, value: float, quantity: str, structure: str, region: str, sequence: PulseSequence
    ) -> float | None:
        """(value - mean) / SD; None for another sequence than the group's, and without a standard deviation."""
        known = self.of(quantity, structure, region)
        if known is None or known.sd is None or self.in_sequence is not sequence:
            return None
        return (value - known.mean) / known.sd


@cache
def reference_groups() -> tuple[ReferenceGroup, ...]:
    """All groups of the table. Raises KeyError, ValueError if the table is wrong."""
    content = json.loads(PATH.read_text(encoding="utf-8"))
    known = {sequence.value: sequence for sequence in PulseSequence}
    return tuple(
        ReferenceGroup(
            id=group["id"],
            title=group["title"],
            sex=group["sex"],
            people=int(group["people"]),
            age=group["age"],
            sequence=f"{group['plane']} {group['sequence'].upper()}",
            in_sequence=known.get(group["sequence"]),
            reader=group["reader"],
            source=group["source"],
            caution=group["caution"],
            values=MappingProxyType(
                {
                    (quantity, str(_CODES[code].plate), _CODES[code].name): Reference(mean=mean, sd=sd)
                    for quantity, places in group["values"].items()
                    for code, (mean, sd) in places.items()
                }
            ),
        )
        for group in content["groups"]
    )

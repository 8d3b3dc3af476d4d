"""Published values of groups of people, to be shown beside a measurement: never a diagnosis.

reference_values.json is the one table of them. Readers, sequences and definitions differ: means of one knee by two
readers differ by a tenth. A Z-score is given only where sequence, plane and definition agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import PLACES, TIBIA_LATERAL, TIBIA_MEDIAL, Place, Plate
from pipeline.anatomy.subregions import SUBREGION_SCHEME, SUMS
from pipeline.grid import Grid
from pipeline.planes import slice_plane
from pipeline.quantities import QUANTITIES

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
class Conditions:
    """What decides whether a measurement can be compared with a group.

    sequence, plane  of the scan; UNKNOWN and "" without one
    weight_bearing   option: the end of the weight-bearing femur, %
    """

    sequence: PulseSequence
    plane: str
    weight_bearing: str

    @classmethod
    def of(cls, document: Mapping[str, object]) -> Conditions:
        """From the content of results.json. Raises KeyError, TypeError, ValueError where it is not such a document."""
        content: dict[str, Any] = dict(document)
        scan = content.get("scan")
        return cls(
            sequence=PulseSequence(scan["sequence"]) if scan else PulseSequence.UNKNOWN,
            plane=slice_plane(Grid.from_dict(scan["grid"])) if scan else "",
            weight_bearing=str(content.get("options", {}).get("weight_bearing", "")),
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

    sex             "male", "female", or "" for both together
    sequence        of the images, in words; in_sequence: of them, where the program knows it; plane: of the slices
    reader          who outlined; source: publication; caution: why the group may differ from others
    weight_bearing  the end of the weight-bearing femur, %; "" where it is not known
    z_scores        quantities that are defined as in this program
    values          (quantity, structure, region) -> reference, in the quantity's unit
    """

    id: str
    title: str
    sex: str
    people: int
    age: str
    sequence: str
    in_sequence: PulseSequence | None
    plane: str
    reader: str
    source: str
    caution: str
    weight_bearing: str
    z_scores: frozenset[str]
    values: Mapping[tuple[str, str, str], Reference]

    @property
    def described(self) -> str:
        """Who, how and by whom, in one paragraph."""
        return (
            f"{self.title}: {self.people} people, {self.age}; {self.plane} {self.sequence}; {self.reader}. "
            f"Source: {self.source}. Note: {self.caution}. {READERS_DIFFER}"
        )

    def of(self, quantity: str, structure: str, region: str) -> Reference | None:
        """The reference of a row of the tables; None where there is none."""
        return self.values.get((quantity, str(structure), region))

    def no_z_score(self, quantity: str, structure: str, region: str, measured: Conditions) -> str:
        """Why a measurement has no Z-score; empty where it has one."""
        known = self.of(quantity, structure, region)
        if known is None or known.sd is None:
            return "no standard deviation was published"
        if quantity not in self.z_scores:
            return f"{QUANTITIES[quantity].short} is not defined in the same way"
        if measured.sequence is PulseSequence.UNKNOWN:
            return "the sequence of this scan is not known"
        if (measured.sequence, measured.plane) != (self.in_sequence, self.plane):
            return f"this scan is {measured.plane} {measured.sequence.words}, the group {self.plane} {self.sequence}"
        if _reaches_femur(structure, region) and measured.weight_bearing != self.weight_bearing:
            there = f"at {self.weight_bearing} %" if self.weight_bearing else "at an unknown place"
            return f"the weight-bearing femur ends at {measured.weight_bearing} % here and {there} in the group"
        return ""

    def z_score(self, value: float, quantity: str, structure: str, region: str, measured: Conditions) -> float | None:
        """(value - mean) / SD; None where sequence, plane or definition differ, and without a standard deviation."""
        known = self.of(quantity, structure, region)
        if known is None or known.sd is None or self.no_z_score(quantity, structure, region, measured):
            return None
        return (value - known.mean) / known.sd

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; the values as rows in the names of results.csv."""
        return {
            "id": self.id,
            "title": self.title,
            "sex": self.sex,
            "people": self.people,
            "age": self.age,
            "plane": self.plane,
            "sequence": self.sequence,
            "reader": self.reader,
            "source": self.source,
            "caution": self.caution,
            "note": READERS_DIFFER,
            "weight_bearing": self.weight_bearing,
            "z_scores": sorted(self.z_scores),
            "values": [
                {
                    "quantity": quantity,
                    "structure": structure,
                    "region": region,
                    "mean": reference.mean,
                    "sd": reference.sd,
                    "band": reference.band,
                    "unit": QUANTITIES[quantity].unit.value,
                }
                for (quantity, structure, region), reference in self.values.items()
            ],
        }


def _reaches_femur(structure: str, region: str) -> bool:
    """Whether a place is a part of the weight-bearing femur, or a sum with one."""
    place = PLACES[structure, region]
    return any(term.plate is Plate.FEMORAL for term in getattr(place, "terms", (place,)))


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
            sequence=group["sequence"].upper(),
            in_sequence=known.get(group["sequence"]),
            plane=group["plane"],
            reader=group["reader"],
            source=group["source"],
            caution=group["caution"],
            weight_bearing=group["weight_bearing"],
            z_scores=frozenset(group["z_scores"]),
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

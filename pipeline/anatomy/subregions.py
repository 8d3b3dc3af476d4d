"""Subregions of the plates as osteoarthritis imaging names them, the sums over a compartment, and both schemes.

MT, LT: medial, lateral tibia; cMF, cLF: weight-bearing (central) femoral condyle; pMF, pLF: posterior condyle; TR:
trochlea; P: patella. Before them: c central, e external (away from the other compartment), i internal, a anterior, p
posterior. The rules that determine them are in pipeline/subregions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.anatomy.regions import (
    FEMUR_ANTERIOR,
    FEMUR_LATERAL_POSTERIOR,
    FEMUR_LATERAL_WEIGHT_BEARING,
    FEMUR_MEDIAL_POSTERIOR,
    FEMUR_MEDIAL_WEIGHT_BEARING,
    PATELLA_WHOLE,
    TABLE_ORDER,
    TIBIA_LATERAL,
    TIBIA_MEDIAL,
    Compartment,
    Region,
)

FEMOROTIBIAL: Final = "femorotibial_cartilage"
"""Name in the column `structure` of the sums over femur and tibia."""


ANTERIOR: Final = FEMUR_ANTERIOR.part
CENTRAL: Final = "central"
"""The part of a plate or condyle that has a minimum thickness (Miv)."""


class Place(Protocol):
    """What a row of the tables is about: a Region or a RegionSum."""

    @property
    def plate(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def short(self) -> str: ...
    @property
    def brief(self) -> str: ...
    @property
    def compartment(self) -> Compartment | None: ...
    @property
    def part(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class RegionSum:
    """A compartment of the femorotibial joint: thickness values of its terms are added."""

    name: str
    compartment: Compartment
    part: str
    terms: tuple[Region, Region]

    @property
    def plate(self) -> str:
        """Its name in the column `structure`."""
        return FEMOROTIBIAL

    @property
    def key(self) -> str:
        """Name in files that list regions."""
        return f"{self.plate}/{self.name}"

    @property
    def short(self) -> str:
        """Name in tables and charts, e.g. `Femur + tibia, medial (MFTC)`."""
        words = " ".join(word for word in (self.compartment, self.part) if word)
        bones = " + ".join(term.plate.bone.title.lower() for term in reversed(self.terms)).capitalize()
        return f"{bones}, {words} ({self.name})"

    @property
    def brief(self) -> str:
        """Name where there is little room."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One way to divide the plates.

    regions  that it adds to the tables, every divided one before its parts
    shown    the same in the order of tables for people, with the regions of other schemes and the sums beside them
    """

    id: str
    title: str
    definition: str
    regions: tuple[Region, ...]
    shown: tuple[Place, ...]

    @property
    def numbered(self) -> tuple[Region, ...]:
        """The regions that have a number at vertices and voxels."""
        return tuple(region for region in self.regions if region.label)


_SIDES: Final = (
    ("M", Compartment.MEDIAL, TIBIA_MEDIAL, FEMUR_MEDIAL_WEIGHT_BEARING, FEMUR_MEDIAL_POSTERIOR),
    ("L", Compartment.LATERAL, TIBIA_LATERAL, FEMUR_LATERAL_WEIGHT_BEARING, FEMUR_LATERAL_POSTERIOR),
)

_COLOURS: Final[Mapping[str, tuple[int, int, int]]] = {
    CENTRAL: (213, 94, 0),
    "external": (0, 114, 178),
    "internal": (86, 180, 233),
    ANTERIOR: (0, 158, 115),
    "posterior": (240, 228, 66),
    Compartment.MEDIAL: (230, 159, 0),
    Compartment.LATERAL: (204, 121, 167),
}
"""The same part has the same colour in both compartments (palette of Okabe and Ito)."""


def _part(label: int, code: str, within: Region, compartment: Compartment | None, part: str, hue: str) -> Region:
    return Region(
        label=label,
        plate=within.plate,
        compartment=compartment,
        part=part,
        colour=_COLOURS[hue],
        code=code,
        within=within,
    )


def _divided(
    code: str, within: Region, compartment: Compartment | None, part: str, parts: tuple[Region, ...]
) -> Region:
    return Region(
        label=0,
        plate=within.plate,
        compartment=compartment,
        part=part,
        colour=within.colour,
        code=code,
        members=parts,
        within=within,
    )


TIBIAL_PARTS: Final = (CENTRAL, "external", "internal", ANTERIOR, "posterior")
CONDYLAR_PARTS: Final = (CENTRAL, "external", "internal")


def _tibia(first: int, side: int) -> Mapping[str, Region]:
    letter, compartment, plate, _, _ = _SIDES[side]
    return {
        part: _part(first + k, f"{part[0]}{letter}T", plate, compartment, part, part)
        for k, part in enumerate(TIBIAL_PARTS)
    }


def _condyle(first: int, side: int) -> Mapping[str, Region]:
    letter, compartment, _, weight_bearing, _ = _SIDES[side]
    return {
        part: _part(first + k, f"{part[0]}c{letter}F", weight_bearing, compartment, f"weight_bearing, {part}", part)
        for k, part in enumerate(CONDYLAR_PARTS)
    }


TIBIA: Final = (_tibia(21, 0), _tibia(26, 1))
"""(medial, lateral): part -> region."""

CONDYLE: Final = (_condyle(31, 0), _condyle(34, 1))
"""(medial, lateral), of the weight-bearing femur: part -> region."""

CMF, CLF = (
    _divided(f"c{letter}F", wb, side, "weight_bearing", tuple(parts.values()))
    for (letter, side, _, wb, _), parts in zip(_SIDES, CONDYLE, strict=True)
)
PMF, PLF = (
    _part(37 + k, f"p{letter}F", posterior, side, "posterior", "posterior")
    for k, (letter, side, _, _, posterior) in enumerate(_SIDES)
)
MTR: Final = _part(39, "mTR", FEMUR_ANTERIOR, Compartment.MEDIAL, "trochlea", Compartment.MEDIAL)
LTR: Final = _part(40, "lTR", FEMUR_ANTERIOR, Compartment.LATERAL, "trochlea", Compartment.LATERAL)
TR: Final = _divided("TR", FEMUR_ANTERIOR, None, "trochlea", (MTR, LTR))
MP: Final = _part(41, "mP", PATELLA_WHOLE, Compartment.MEDIAL, "facet", Compartment.MEDIAL)
LP: Final = _part(42, "lP", PATELLA_WHOLE, Compartment.LATERAL, "facet", Compartment.LATERAL)

MFTC, LFTC = (
    RegionSum(name=f"{letter}FTC", compartment=side, part="", terms=(plate, condyle))
    for (letter, side, plate, _, _), condyle in zip(_SIDES, (CMF, CLF), strict=True)
)
CMFTC, CLFTC = (
    RegionSum(name=f"c{letter}FTC", compartment=side, part=CENTRAL, terms=(tibia[CENTRAL], condyle[CENTRAL]))
    for (letter, side, _, _, _), tibia, condyle in zip(_SIDES, TIBIA, CONDYLE, strict=True)
)
SUMS: Final = (MFTC, CMFTC, LFTC, CLFTC)

_FEMUR: Final = (CMF, *CMF.members, CLF, *CLF.members, PMF, PLF, TR, MTR, LTR)
_PATELLA: Final = (MP, LP)

REGION_SCHEME: Final = Scheme(
    id="region",
    title="Regions",
    definition="Whole plates, the tibial compartments, and five regions of the femur by the rules of pymskt.",
    regions=TABLE_ORDER,
    shown=TABLE_ORDER,
)
SUBREGION_SCHEME: Final = Scheme(
    id="subregion",
    title="Subregions",
    definition="Tibia: the central fifth of a plate and the four sectors around it; weight-bearing femur: three thirds "
    "across each condyle; posterior condyles, trochlea and patella: medial and lateral. Names of Eckstein et al. 2006.",
    regions=(*_FEMUR, *TIBIA[0].values(), *TIBIA[1].values(), *_PATELLA),
    shown=(
        *_FEMUR,
        TIBIA_MEDIAL,
        *TIBIA[0].values(),
        TIBIA_LATERAL,
        *TIBIA[1].values(),
        *_PATELLA,
        *SUMS,
    ),
)
SCHEMES: Final = (REGION_SCHEME, SUBREGION_SCHEME)
"""Every way to divide the plates. Measures, tables, charts, 3D view and documentation iterate it."""

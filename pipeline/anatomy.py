"""The one table of structures, regions, sides and label numberings.

Every number, name, colour and code that any other module, page or file shows comes from here.
Colours are those of 3D Slicer's anatomy colour table (bone, cartilage, meniscus), regions a colour-blind safe set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Side(StrEnum):
    """Which knee of the patient."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> Side:
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


class Tissue(StrEnum):
    """Kind of structure; decides its colour and what is measured on it."""

    BONE = "bone"
    CARTILAGE = "cartilage"
    MENISCUS = "meniscus"


class Structure(IntEnum):
    """Canonical labels: the values of every label map inside the product."""

    FEMUR = 1
    TIBIA = 2
    PATELLA = 3
    FEMORAL_CARTILAGE = 4
    MEDIAL_TIBIAL_CARTILAGE = 5
    LATERAL_TIBIAL_CARTILAGE = 6
    PATELLAR_CARTILAGE = 7
    MEDIAL_MENISCUS = 8
    LATERAL_MENISCUS = 9

    @property
    def key(self) -> str:
        """Name in files and tables, e.g. `femoral_cartilage`."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """Name for people, e.g. `Femoral cartilage`."""
        return self.name.replace("_", " ").capitalize()

    @property
    def tissue(self) -> Tissue:
        return _TISSUES[self]

    @property
    def colour(self) -> tuple[int, int, int]:
        """sRGB, 0 to 255."""
        return TISSUE_COLOURS[self.tissue]

    @property
    def snomed(self) -> str:
        """SNOMED CT concept of the structure (bone) or its tissue (cartilage, meniscus)."""
        return _SNOMED[self]


TISSUE_COLOURS: Final[Mapping[Tissue, tuple[int, int, int]]] = MappingProxyType(
    {Tissue.BONE: (241, 214, 145), Tissue.CARTILAGE: (111, 184, 210), Tissue.MENISCUS: (178, 212, 242)}
)

BONES: Final = (Structure.FEMUR, Structure.TIBIA, Structure.PATELLA)

_TISSUES: Final[Mapping[Structure, Tissue]] = MappingProxyType(
    {
        s: Tissue.BONE if s in BONES else Tissue.MENISCUS if s.name.endswith("MENISCUS") else Tissue.CARTILAGE
        for s in Structure
    }
)

_SNOMED: Final[Mapping[Structure, str]] = MappingProxyType(
    {
        s: {"femur": "71341001", "tibia": "12611008", "patella": "64234005"}.get(
            s.name.lower(), "74135004" if _TISSUES[s] is Tissue.MENISCUS else "309312004"
        )
        for s in Structure
    }
)

CARTILAGE_OF: Final[Mapping[Structure, tuple[Structure, ...]]] = MappingProxyType(
    {
        Structure.FEMUR: (Structure.FEMORAL_CARTILAGE,),
        Structure.TIBIA: (Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE),
        Structure.PATELLA: (Structure.PATELLAR_CARTILAGE,),
    }
)
"""Which cartilage lies on which bone."""

BONE_OF: Final[Mapping[Structure, Structure]] = MappingProxyType(
    {cartilage: bone for bone, plates in CARTILAGE_OF.items() for cartilage in plates}
)

ALL: Final = "all"
"""Region name that stands for a whole plate."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A named part of a cartilage plate, carried as a number per vertex and in subregions.nii.gz."""

    label: int
    plate: str
    name: str
    colour: tuple[int, int, int]

    @property
    def title(self) -> str:
        return f"{self.plate.replace('_', ' ')}: {self.name.replace('_', ' ')}".capitalize()


FEMORAL_PLATE: Final = "femoral_cartilage"
TIBIAL_PLATE: Final = "tibial_cartilage"
PATELLAR_PLATE: Final = "patellar_cartilage"

PLATES: Final[Mapping[Structure, str]] = MappingProxyType(
    {Structure.FEMUR: FEMORAL_PLATE, Structure.TIBIA: TIBIAL_PLATE, Structure.PATELLA: PATELLAR_PLATE}
)
"""The plate (name in the column `structure` of the tables) on each bone."""

REGIONS: Final = (
    Region(label=11, plate=FEMORAL_PLATE, name="anterior", colour=(86, 180, 233)),
    Region(label=12, plate=FEMORAL_PLATE, name="medial_weight_bearing", colour=(230, 159, 0)),
    Region(label=13, plate=FEMORAL_PLATE, name="lateral_weight_bearing", colour=(0, 158, 115)),
    Region(label=14, plate=FEMORAL_PLATE, name="medial_posterior", colour=(213, 94, 0)),
    Region(label=15, plate=FEMORAL_PLATE, name="lateral_posterior", colour=(0, 114, 178)),
    Region(label=5, plate=TIBIAL_PLATE, name="medial", colour=(240, 228, 66)),
    Region(label=6, plate=TIBIAL_PLATE, name="lateral", colour=(204, 121, 167)),
    Region(label=7, plate=PATELLAR_PLATE, name=ALL, colour=(153, 153, 153)),
)

REGION_BY_NAME: Final[Mapping[tuple[str, str], Region]] = MappingProxyType({(r.plate, r.name): r for r in REGIONS})


@dataclass(frozen=True, kw_only=True)
class Numbering:
    """How somebody else numbers a knee's labels.

    `to_canonical` names every label that the numbering declares; None means background on purpose.
    `compartments_apart` is False where medial and lateral tibial cartilage share one number: both are then read as
    MEDIAL_TIBIAL_CARTILAGE until the analysis has told them apart by anatomy.
    """

    id: str
    title: str
    to_canonical: Mapping[int, Structure | None]
    compartments_apart: bool = True


_S = Structure
NUMBERINGS: Final[Mapping[str, Numbering]] = MappingProxyType(
    {
        n.id: n
        for n in (
            Numbering(
                id="canonical",
                title="This product's own labels",
                # femoral sub-regions 11 to 15 are parts of the femoral cartilage
                to_canonical={int(s): s for s in Structure} | dict.fromkeys(range(11, 16), _S.FEMORAL_CARTILAGE),
            ),
            Numbering(
                id="oai",
                title="Expert label maps of the Osteoarthritis Initiative (bone lesions count as bone)",
                to_canonical={
                    1: _S.FEMUR,
                    2: _S.FEMORAL_CARTILAGE,
                    3: _S.TIBIA,
                    4: _S.MEDIAL_TIBIAL_CARTILAGE,
                    5: _S.PATELLA,
                    6: _S.PATELLAR_CARTILAGE,
                    7: _S.FEMUR,
                    8: _S.TIBIA,
                    9: _S.PATELLA,
                },
                compartments_apart=False,
            ),
            Numbering(
                id="pymskt",
                title="Label maps of pymskt's examples",
                to_canonical={
                    1: _S.FEMORAL_CARTILAGE,
                    2: _S.MEDIAL_TIBIAL_CARTILAGE,
                    3: _S.LATERAL_TIBIAL_CARTILAGE,
                    4: _S.PATELLAR_CARTILAGE,
                    5: _S.FEMUR,
                    6: _S.TIBIA,
                    7: _S.PATELLA,
                },
            ),
            Numbering(
                id="dosma",
                title="DOSMA, and nnU-Net models trained with its labels",
                to_canonical={
                    1: _S.PATELLAR_CARTILAGE,
                    2: _S.FEMORAL_CARTILAGE,
                    3: _S.MEDIAL_TIBIAL_CARTILAGE,
                    4: _S.LATERAL_TIBIAL_CARTILAGE,
                    5: _S.MEDIAL_MENISCUS,
                    6: _S.LATERAL_MENISCUS,
                    7: _S.FEMUR,
                    8: _S.TIBIA,
                    9: _S.PATELLA,
                },
            ),
        )
    }
)

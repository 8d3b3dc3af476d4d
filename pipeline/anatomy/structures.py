"""Structures, tissues and sides. Colours are those of 3D Slicer's anatomy colour table (bone, cartilage, meniscus)."""

from __future__ import annotations

from collections.abc import Mapping
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
    """Kind of structure; determines its colour and measures."""

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
        """Display name, e.g. `Femoral cartilage`."""
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


DISTINCT_COLOURS: Final[Mapping[Structure, tuple[int, int, int]]] = MappingProxyType(
    {
        Structure.FEMUR: (230, 159, 0),
        Structure.TIBIA: (86, 180, 233),
        Structure.PATELLA: (204, 121, 167),
        Structure.FEMORAL_CARTILAGE: (213, 94, 0),
        Structure.MEDIAL_TIBIAL_CARTILAGE: (0, 114, 178),
        Structure.LATERAL_TIBIAL_CARTILAGE: (0, 158, 115),
        Structure.PATELLAR_CARTILAGE: (240, 228, 66),
        Structure.MEDIAL_MENISCUS: (148, 103, 189),
        Structure.LATERAL_MENISCUS: (170, 170, 170),
    }
)
"""For pictures that must tell structures of one tissue apart: the palette of Okabe and Ito, and two more."""

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

LATERAL_OF: Final[Mapping[Structure, Structure]] = MappingProxyType(
    {
        Structure.MEDIAL_TIBIAL_CARTILAGE: Structure.LATERAL_TIBIAL_CARTILAGE,
        Structure.MEDIAL_MENISCUS: Structure.LATERAL_MENISCUS,
    }
)
"""Medial structure -> its lateral counterpart. Sources that do not distinguish them are read as the medial one, and
divided by anatomy (pipeline/regions.py)."""

BONE_OF: Final[Mapping[Structure, Structure]] = MappingProxyType(
    {cartilage: bone for bone, plates in CARTILAGE_OF.items() for cartilage in plates}
)

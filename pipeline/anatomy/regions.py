"""Cartilage plates and their regions: numbers, names, order and compartments. Colours: a colour-blind safe set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pipeline.anatomy.structures import TISSUE_COLOURS, Structure, Tissue

ALL: Final = "all"
"""Region name of a whole plate or structure."""


class Compartment(StrEnum):
    """Half of the joint."""

    MEDIAL = "medial"
    LATERAL = "lateral"


class Plate(StrEnum):
    """The cartilage on one bone, with its name in the column `structure`. In the order of every table."""

    FEMORAL = "femoral_cartilage"
    TIBIAL = "tibial_cartilage"
    PATELLAR = "patellar_cartilage"

    @property
    def bone(self) -> Structure:
        return next(bone for bone, plate in PLATE_ON.items() if plate is self)

    @property
    def display_name(self) -> str:
        """Display name, e.g. `Femoral cartilage`."""
        return self.replace("_", " ").capitalize()

    @property
    def whole(self) -> Region:
        return next(region for region in TABLE_ORDER if region.plate is self and region.name == ALL)

    @property
    def parts(self) -> tuple[Region, ...]:
        """The named parts; none for a plate that is not divided."""
        return tuple(region for region in REGIONS if region.plate is self and region.name != ALL)

    @property
    def labels(self) -> tuple[int, ...]:
        """The numbers of its regions in subregions.nii.gz and at the vertices of its bone."""
        return tuple(region.label for region in REGIONS if region.plate is self)


PLATE_ON: Final[Mapping[Structure, Plate]] = MappingProxyType(
    {Structure.FEMUR: Plate.FEMORAL, Structure.TIBIA: Plate.TIBIAL, Structure.PATELLA: Plate.PATELLAR}
)
"""Bone -> the plate on it."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A cartilage plate or a named part of one; stored as a number per vertex and per voxel.

    label        0: a divided plate or region, whose voxels have the numbers of its parts
    compartment  None: a region in both compartments
    part         anterior, weight_bearing or posterior; empty if only compartments are distinguished
    code         abbreviation of a subregion (anatomy.subregions), which is its name in the tables; empty otherwise
    members      of a divided subregion: its parts
    within       of a subregion: the region that it lies in, or mostly does; flags of that one hold for it
    """

    label: int
    plate: Plate
    compartment: Compartment | None = None
    part: str = ""
    colour: tuple[int, int, int]
    code: str = ""
    members: tuple[Region, ...] = ()
    within: Region | None = None

    @property
    def name(self) -> str:
        """Name in the column `region` of the tables, e.g. `medial_weight_bearing` or `cMT`."""
        if self.code:
            return self.code
        return "_".join(word for word in (self.compartment, self.part) if word) or ALL

    @property
    def key(self) -> str:
        """Name in files that list regions, e.g. `femoral_cartilage/medial_weight_bearing`."""
        return f"{self.plate}/{self.name}"

    @property
    def title(self) -> str:
        """Name in label tables and legends, e.g. `Femoral cartilage: medial weight bearing`."""
        plate = self.plate.display_name
        return plate if self.name == ALL else f"{plate}: {self._words}"

    @property
    def short(self) -> str:
        """Name in tables and charts, e.g. `Femur, medial weight bearing`."""
        return f"{self.plate.bone.title}, {self._words}"

    @property
    def brief(self) -> str:
        """Name where there is little room: the abbreviation of a subregion."""
        return self.code or self.short

    @property
    def parent(self) -> Region | None:
        """The whole plate; None for a whole plate."""
        return None if self.name == ALL else self.plate.whole

    @property
    def order(self) -> int:
        """Its position in displayed tables: a whole plate comes before its parts. Not of subregions."""
        return TABLE_ORDER.index(self)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that its voxels and vertices have."""
        if self.members:
            return tuple(member.label for member in self.members)
        return (self.label,) if self.label else self.plate.labels

    @property
    def _words(self) -> str:
        if self.name == ALL:
            return "whole plate"
        text = " ".join(word for word in (self.compartment, self.part) if word).replace("_", " ")
        return f"{text} ({self.code})" if self.code else text


def _region(
    label: int, plate: Plate, compartment: Compartment | None, part: str, colour: tuple[int, int, int]
) -> Region:
    return Region(label=label, plate=plate, compartment=compartment, part=part, colour=colour)


_M, _L = Compartment.MEDIAL, Compartment.LATERAL

FEMUR_ANTERIOR: Final = _region(11, Plate.FEMORAL, None, "anterior", (86, 180, 233))
FEMUR_MEDIAL_WEIGHT_BEARING: Final = _region(12, Plate.FEMORAL, _M, "weight_bearing", (230, 159, 0))
FEMUR_LATERAL_WEIGHT_BEARING: Final = _region(13, Plate.FEMORAL, _L, "weight_bearing", (0, 158, 115))
FEMUR_MEDIAL_POSTERIOR: Final = _region(14, Plate.FEMORAL, _M, "posterior", (213, 94, 0))
FEMUR_LATERAL_POSTERIOR: Final = _region(15, Plate.FEMORAL, _L, "posterior", (0, 114, 178))
TIBIA_MEDIAL: Final = _region(5, Plate.TIBIAL, _M, "", (240, 228, 66))
TIBIA_LATERAL: Final = _region(6, Plate.TIBIAL, _L, "", (204, 121, 167))
PATELLA_WHOLE: Final = _region(7, Plate.PATELLAR, None, "", (153, 153, 153))
FEMUR_WHOLE: Final = _region(0, Plate.FEMORAL, None, "", TISSUE_COLOURS[Tissue.CARTILAGE])
TIBIA_WHOLE: Final = _region(0, Plate.TIBIAL, None, "", TISSUE_COLOURS[Tissue.CARTILAGE])

TABLE_ORDER: Final = (
    FEMUR_WHOLE,
    FEMUR_ANTERIOR,
    FEMUR_MEDIAL_WEIGHT_BEARING,
    FEMUR_LATERAL_WEIGHT_BEARING,
    FEMUR_MEDIAL_POSTERIOR,
    FEMUR_LATERAL_POSTERIOR,
    TIBIA_WHOLE,
    TIBIA_MEDIAL,
    TIBIA_LATERAL,
    PATELLA_WHOLE,
)
"""Every region in the order of tables and charts for people: each whole plate before its parts."""

REGIONS: Final = tuple(region for region in TABLE_ORDER if region.label)
"""The regions that have a number. In results.csv the whole plate follows its parts."""

MENISCUS_ON: Final[Mapping[Structure, Region]] = MappingProxyType(
    {Structure.MEDIAL_MENISCUS: TIBIA_MEDIAL, Structure.LATERAL_MENISCUS: TIBIA_LATERAL}
)
"""Meniscus -> the tibial plate below it."""

COMPARTMENT_PAIRS: Final = tuple(
    (medial, lateral)
    for medial in REGIONS
    for lateral in REGIONS
    if (medial.compartment, lateral.compartment) == (Compartment.MEDIAL, Compartment.LATERAL)
    and (medial.plate, medial.part) == (lateral.plate, lateral.part)
)
"""(medial, lateral) regions that are compared with each other."""


def pair_title(region: Region) -> str:
    """Name of the pair of compartments that a region belongs to: `Femur, weight bearing`, `Tibia`."""
    return ", ".join(word for word in (region.plate.bone.title, region.part.replace("_", " ")) if word)

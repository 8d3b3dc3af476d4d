"""What a position of a generated knee consists of, and its MR properties between 0.3 and 7 T.

T1 and T2 of cartilage, fluid, muscle, fat and marrow at 1.5 and 3 T: G. E. Gold et al., Am. J. Roentgenol. 183, 2004.
Other fields follow the power law of P. A. Bottomley et al., Med. Phys. 11, 1984 (T1 = a B0^b), with b
from these two fields. These citations and values have not been compared with the papers yet: check them before you
quote them. Where no source is named, a value is chosen so that the order of grey values is that of clinical
scans.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Final

from pipeline.anatomy import Structure
from training.signal import TISSUES, Kind

TABLE_TESLA: Final = 3.0


class Material(IntEnum):
    """The value of a voxel in a map of materials."""

    AIR = 0
    SKIN = auto()
    FAT = auto()
    FAT_PAD = auto()
    MUSCLE = auto()
    TENDON = auto()
    LIGAMENT = auto()
    VESSEL = auto()
    FLUID = auto()
    SYNOVIUM = auto()
    MENISCUS = auto()
    CARTILAGE_DEEP = auto()
    CARTILAGE = auto()
    MARROW = auto()
    CORTEX = auto()
    OEDEMA = auto()
    MILD_OEDEMA = auto()
    CYST = auto()
    SCLEROSIS = auto()
    PHYSIS = auto()


@dataclass(frozen=True, kw_only=True)
class Properties:
    """MR properties of a material at TABLE_TESLA.

    density     of the visible protons relative to water
    t1_ms, t2_ms relaxation times of the water component
    t1_power, t2_power: exponents of the field strength
    prime_per_s R2' = R2* - R2; proportional to the field strength
    fat         fraction of the protons that belongs to fat, which relaxes as FAT_COMPONENT
    """

    density: float
    t1_ms: float
    t2_ms: float
    t1_power: float = 0.33
    t2_power: float = -0.15
    prime_per_s: float = 15.0
    fat: float = 0.0


def _as(kind: Kind, *, prime: float = 15.0, t1_power: float = 0.33, t2_power: float = -0.15) -> Properties:
    """The tissue of the second renderer without fat, with exponents."""
    tissue = TISSUES[kind]
    return Properties(
        density=tissue.density,
        t1_ms=tissue.t1_ms,
        t2_ms=tissue.t2_ms,
        t1_power=t1_power,
        t2_power=t2_power,
        prime_per_s=prime,
    )


FAT_COMPONENT: Final = Properties(density=1.0, t1_ms=371.0, t2_ms=133.0, t1_power=0.365, t2_power=-0.31)
"""Gold 2004: 288 and 371 ms, 165 and 133 ms at 1.5 and 3 T."""

PROPERTIES: Final[dict[Material, Properties]] = {
    Material.AIR: Properties(density=0.0, t1_ms=1000.0, t2_ms=10.0),
    Material.SKIN: Properties(density=0.55, t1_ms=900.0, t2_ms=22.0, fat=0.2),
    Material.FAT: Properties(density=0.95, t1_ms=900.0, t2_ms=40.0, fat=0.93),
    Material.FAT_PAD: Properties(density=0.92, t1_ms=1000.0, t2_ms=45.0, fat=0.85),
    Material.MUSCLE: _as(Kind.MUSCLE),
    Material.TENDON: _as(Kind.TENDON, prime=250.0),
    Material.LIGAMENT: Properties(density=0.42, t1_ms=950.0, t2_ms=16.0, prime_per_s=90.0),
    Material.VESSEL: _as(Kind.VESSEL),
    Material.FLUID: Properties(
        density=0.97, t1_ms=3620.0, t2_ms=767.0, t1_power=0.345, t2_power=-0.66, prime_per_s=5.0
    ),
    Material.SYNOVIUM: Properties(density=0.80, t1_ms=1300.0, t2_ms=60.0, fat=0.3),
    Material.MENISCUS: Properties(density=0.40, t1_ms=950.0, t2_ms=11.0, prime_per_s=60.0),
    Material.CARTILAGE_DEEP: Properties(density=0.74, t1_ms=1150.0, t2_ms=29.0, t1_power=0.226, t2_power=-0.19),
    Material.CARTILAGE: Properties(density=0.86, t1_ms=1240.0, t2_ms=42.0, t1_power=0.226, t2_power=-0.19),
    Material.MARROW: Properties(density=0.85, t1_ms=1100.0, t2_ms=45.0, prime_per_s=70.0, fat=0.86),
    Material.CORTEX: Properties(density=0.10, t1_ms=400.0, t2_ms=3.0, prime_per_s=600.0),
    Material.OEDEMA: Properties(density=0.90, t1_ms=1700.0, t2_ms=85.0, prime_per_s=35.0, fat=0.30),
    Material.MILD_OEDEMA: Properties(density=0.87, t1_ms=1400.0, t2_ms=65.0, prime_per_s=55.0, fat=0.60),
    Material.CYST: Properties(density=0.95, t1_ms=3000.0, t2_ms=400.0, t1_power=0.345, prime_per_s=10.0),
    Material.SCLEROSIS: Properties(density=0.40, t1_ms=900.0, t2_ms=14.0, prime_per_s=220.0, fat=0.30),
    Material.PHYSIS: Properties(density=0.88, t1_ms=1300.0, t2_ms=50.0, prime_per_s=25.0, fat=0.05),
}
"""Cartilage: Gold 2004 (1060 and 1240 ms, 42 and 37 ms), split into a radial and a superficial layer as in T2 maps
(T. J. Mosher and B. J. Dardzinski, Semin. Musculoskelet. Radiol. 8, 2004). Marrow has a large R2' because of its
trabeculae. Oedema: most of the fat is replaced by water. Densities follow the content of water and lipids."""

OF_KIND: Final = {
    Kind.AIR: Material.AIR,
    Kind.SKIN: Material.SKIN,
    Kind.FAT: Material.FAT,
    Kind.FAT_PAD: Material.FAT_PAD,
    Kind.MUSCLE: Material.MUSCLE,
    Kind.TENDON: Material.TENDON,
    Kind.VESSEL: Material.VESSEL,
    Kind.FLUID: Material.FLUID,
    Kind.SYNOVIUM: Material.SYNOVIUM,
    Kind.MENISCUS: Material.MENISCUS,
    Kind.CARTILAGE: Material.CARTILAGE,
    Kind.MARROW: Material.MARROW,
    Kind.CORTEX: Material.CORTEX,
}
"""Materials of the tissues that training/soft_tissues.py draws."""
BONES: Final = (Structure.FEMUR, Structure.TIBIA, Structure.PATELLA)
PLATES: Final = (
    Structure.FEMORAL_CARTILAGE,
    Structure.MEDIAL_TIBIAL_CARTILAGE,
    Structure.LATERAL_TIBIAL_CARTILAGE,
    Structure.PATELLAR_CARTILAGE,
)
MENISCI: Final = (Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS)
BONE_OF_PLATE: Final = {
    Structure.FEMORAL_CARTILAGE: Structure.FEMUR,
    Structure.MEDIAL_TIBIAL_CARTILAGE: Structure.TIBIA,
    Structure.LATERAL_TIBIAL_CARTILAGE: Structure.TIBIA,
    Structure.PATELLAR_CARTILAGE: Structure.PATELLA,
}

"""The one table of what is measured: quantities, methods, statistics, units and the headline figures.

Tables, report, pages, comparison, command line and documentation take names, definitions, units and digits from here.
A new quantity is one entry of QUANTITIES; pipeline.measure.MEASURES maps it to the function that computes its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pipeline.anatomy import FEMUR_WHOLE, PATELLA_WHOLE, TIBIA_LATERAL, TIBIA_MEDIAL, Region

NOMENCLATURE: Final = "Eckstein et al., Osteoarthritis and Cartilage 2006; 14: 974-983"
"""Source of the names of the cartilage measures."""


class Unit(StrEnum):
    """Units as results.csv writes them (ASCII)."""

    MM = "mm"
    MM2 = "mm2"
    MM3 = "mm3"
    PERCENT = "%"
    MS = "ms"

    @property
    def symbol(self) -> str:
        """Display form, e.g. `mm²`."""
        return self.replace("mm2", "mm²").replace("mm3", "mm³")


class Statistic(StrEnum):
    """The statistic of a row."""

    MEAN = "mean"
    STD = "std"
    MEDIAN = "median"
    TOTAL = "total"
    SHARE = "share"


SPREAD: Final = (Statistic.MEAN, Statistic.STD, Statistic.MEDIAN)
"""Statistics of a quantity with a value at every point; std is that of the population."""


class Method(StrEnum):
    """How a quantity was computed, as in the column `method`."""

    UNION = "union"
    TWO_CROSSING = "two_crossing"
    VOXEL_COUNT = "voxel_count"
    MULTI_ECHO = "multi_echo"
    QDESS_SPOILED = "qdess_spoiled"
    QDESS_LOW_SPOILING = "qdess_low_spoiling"

    @property
    def display_name(self) -> str:
        """Display form, e.g. `two-crossing`."""
        return _METHOD_WORDS[self][0]

    @property
    def definition(self) -> str:
        return _METHOD_WORDS[self][1]


_METHOD_WORDS: Final[Mapping[Method, tuple[str, str]]] = MappingProxyType(
    {
        Method.UNION: (
            "union",
            "Thickness from the bone surface to the last crossing of the smoothed label of bone or cartilage.",
        ),
        Method.TWO_CROSSING: (
            "two-crossing",
            "Thickness between the first and last crossing of the smoothed cartilage label alone, as pymskt and "
            "KneePipeline estimate it.",
        ),
        Method.VOXEL_COUNT: ("voxel count", "Number of voxels times the volume of one voxel."),
        Method.MULTI_ECHO: ("multi-echo", "T2 from a mono-exponential fit over the echo times."),
        Method.QDESS_SPOILED: (
            "qDESS, spoiled",
            "T2 from the ratio of both qDESS echoes, with the spoiler gradient of the header.",
        ),
        Method.QDESS_LOW_SPOILING: (
            "qDESS, low spoiling",
            "T2 from the ratio of both qDESS echoes, without a term for diffusion.",
        ),
    }
)

PRIMARY: Final = Method.UNION
"""The thickness estimator of headlines, tables, charts, flags and comparisons; two_crossing misses thin cartilage."""

SECOND: Final = Method.TWO_CROSSING
"""The other thickness estimator: reported in addition to the primary one, never instead of it."""


class Direction(StrEnum):
    """The meaning of a larger value for the joint."""

    BETTER = "better"
    WORSE = "worse"
    NEUTRAL = "neutral"


@dataclass(frozen=True, kw_only=True)
class PublishedChange:
    """The smallest detectable change from published repeat scans, for a quantity that this program did not measure.

    percent  of the first value; conditions: under which it holds, as text
    """

    percent: float
    conditions: str
    source: str

    def of(self, value: float) -> float:
        """The smallest detectable change from this value, in its unit."""
        return abs(value) * self.percent / 100.0


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One kind of number in the tables.

    id          as in the column `quantity`
    title       full name; short: column head
    definition  one sentence; source: publication, empty for our own
    larger_is   the meaning of a larger value for the joint
    statistics  the reported statistics; tables and comparisons show the first
    digits      displayed decimals; results.csv always has six
    detectable  the published smallest detectable change, where this program has not measured its own
    """

    id: str
    title: str
    short: str
    definition: str
    unit: Unit
    larger_is: Direction
    statistics: tuple[Statistic, ...]
    digits: int
    source: str = ""
    detectable: PublishedChange | None = None

    @property
    def main(self) -> Statistic:
        """The statistic of tables that show one number."""
        return self.statistics[0]

    @property
    def column(self) -> str:
        """Column head with unit, e.g. `tAB (mm²)`."""
        return f"{self.short} ({self.unit.symbol})"

    @property
    def explained(self) -> str:
        """Definition, unit, direction and source in one paragraph."""
        parts = [self.definition, f"In {self.unit.symbol}."]
        parts += [f"A larger value is {self.larger_is}."] if self.larger_is is not Direction.NEUTRAL else []
        parts += [f"Source: {self.source}."] if self.source else []
        return " ".join(parts)

    def format(self, value: float) -> str:
        """The value with this quantity's digits, without unit."""
        return f"{value:.{self.digits}f}"


QIBA_CHANGE: Final = PublishedChange(
    percent=14.0,
    conditions="at 3 T, with the same scanner and sequence (within-subject coefficient of variation of 4 to 5 %)",
    source="Chalian et al., Radiology 2021; 301: 423-432 (QIBA profile)",
)
"""T2 and T1rho of cartilage: 1.96 · √2 · 5 %."""

THC: Final = Quantity(
    id="ThC",
    title="Cartilage thickness (ThC)",
    short="ThC",
    definition="Mean thickness where there is cartilage, from the bone surface to the outer cartilage surface along "
    "the bone's normal, weighted by bone area.",
    source=NOMENCLATURE,
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=SPREAD,
    digits=2,
)
THC_TAB: Final = Quantity(
    id="ThCtAB",
    title="Thickness over all bone (ThCtAB)",
    short="ThCtAB",
    definition="Mean thickness over the total area of bone that should be covered; denuded bone counts as 0 mm.",
    source=NOMENCLATURE,
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=SPREAD,
    digits=2,
)
TAB: Final = Quantity(
    id="tAB",
    title="Total bone area (tAB)",
    short="tAB",
    definition="Total area of bone that belongs to the plate, covered or denuded.",
    source=NOMENCLATURE,
    unit=Unit.MM2,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.TOTAL,),
    digits=0,
)
DAB: Final = Quantity(
    id="dAB",
    title="Denuded bone area (dAB)",
    short="dAB",
    definition="The part of tAB without any cartilage, as a percentage.",
    source=NOMENCLATURE,
    unit=Unit.PERCENT,
    larger_is=Direction.WORSE,
    statistics=(Statistic.SHARE,),
    digits=1,
)
VOLUME: Final = Quantity(
    id="volume",
    title="Cartilage and meniscus volume",
    short="Volume",
    definition="Volume of cartilage or meniscus, counted voxels.",
    unit=Unit.MM3,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.TOTAL,),
    digits=0,
)
T2: Final = Quantity(
    id="T2",
    title="T2",
    short="T2",
    definition="Transverse relaxation time of the cartilage.",
    unit=Unit.MS,
    larger_is=Direction.WORSE,
    statistics=(Statistic.MEDIAN, Statistic.MEAN, Statistic.STD),
    digits=1,
    detectable=QIBA_CHANGE,
)
T2_DEEP: Final = Quantity(
    id="T2_deep",
    title="T2, deep layer",
    short="T2 deep",
    definition="T2 of the half of the cartilage nearer to the bone.",
    unit=Unit.MS,
    larger_is=Direction.WORSE,
    statistics=(Statistic.MEDIAN, Statistic.MEAN, Statistic.STD),
    digits=1,
)
T2_SUPERFICIAL: Final = Quantity(
    id="T2_superficial",
    title="T2, superficial layer",
    short="T2 superficial",
    definition="T2 of the half of the cartilage nearer to the joint.",
    unit=Unit.MS,
    larger_is=Direction.WORSE,
    statistics=(Statistic.MEDIAN, Statistic.MEAN, Statistic.STD),
    digits=1,
)
T2_EXCLUDED: Final = Quantity(
    id="T2_excluded",
    title="Voxels without a T2",
    short="T2 excluded",
    definition="Cartilage voxels that are left out of T2: without a fit, above 100 ms (fluid), or with a poor fit.",
    unit=Unit.PERCENT,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.SHARE,),
    digits=1,
)
THC_MATCHED: Final = Quantity(
    id="ThC_matched",
    title="Thickness at the same points (ThC_matched)",
    short="Same points",
    definition="Mean thickness over points of bone that carry cartilage in both knees, denuded bone as 0 mm.",
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=(Statistic.MEAN,),
    digits=2,
)

QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {
        quantity.id: quantity
        for quantity in (
            THC_MATCHED,
            THC,
            THC_TAB,
            TAB,
            DAB,
            VOLUME,
            T2,
            T2_DEEP,
            T2_SUPERFICIAL,
            T2_EXCLUDED,
        )
    }
)
"""Every quantity by its id, in the order of tables and choices. ThC_matched exists in comparisons only."""

THICKNESSES: Final = (THC, THC_TAB, TAB, DAB)
"""Measured on bone surfaces by the thickness methods; shown in separate tables and charts."""

T2_LAYERS: Final = (T2, T2_DEEP, T2_SUPERFICIAL, T2_EXCLUDED)
"""Measured if the scan has T2; shown in separate tables and charts."""

HEADLINES: Final[tuple[tuple[str, Region], ...]] = (
    ("Femur", FEMUR_WHOLE),
    ("Medial tibia", TIBIA_MEDIAL),
    ("Lateral tibia", TIBIA_LATERAL),
    ("Patella", PATELLA_WHOLE),
)
"""The headline figures: mean ThC of these, by the primary method."""


def is_main(quantity: str, method: str, statistic: str) -> bool:
    """Whether a row is the one that tables and comparisons show for its quantity and region."""
    known = QUANTITIES.get(quantity)
    return known is not None and method != SECOND and statistic == known.main

"""What describes a measured quantity: unit, statistics, method, direction.

pipeline.quantities holds the table of the quantities themselves, and passes these names on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


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
    MIN = "min"
    MAX = "max"
    UNCERTAINTY = "uncertainty"


class Method(StrEnum):
    """How a quantity was computed, as in the column `method`."""

    UNION = "union"
    TWO_CROSSING = "two_crossing"
    VOXEL_COUNT = "voxel_count"
    MULTI_ECHO = "multi_echo"
    QDESS_SPOILED = "qdess_spoiled"
    QDESS_LOW_SPOILING = "qdess_low_spoiling"
    SPIN_LOCK = "spin_lock"
    PLATEAU_AXES = "plateau_axes"
    NEAREST_BONE = "nearest_bone"

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
        Method.SPIN_LOCK: ("spin lock", "T1rho from a mono-exponential fit over the spin-lock times."),
        Method.PLATEAU_AXES: (
            "plateau axes",
            "Along the axes of the tibial plateau: superior is the normal of the plane through both plates, medial the "
            "direction between their centres.",
        ),
        Method.NEAREST_BONE: (
            "nearest bone",
            "Distance from the bone surface of the tibia to the nearest point of the bone surface of the femur.",
        ),
    }
)


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

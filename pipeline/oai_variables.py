"""Names of measurements in the tables of the Osteoarthritis Initiative (kMRI_QCart_Eckstein).

A name is the place (WMT: medial tibia) and the measure (MTH: mean ThCtAB). The OAI puts the visit before it
(V00WMTMTH); it is left out here, because an analysis does not know it. Areas and standard deviations have no entry:
public descriptions do not settle the unit of the one and the area of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pipeline.anatomy import TIBIA_LATERAL, TIBIA_MEDIAL, Place
from pipeline.anatomy.subregions import CENTRAL, CLF, CLFTC, CMF, CMFTC, CONDYLE, LFTC, MFTC, TIBIA
from pipeline.quantities import DAB, MAV, MIV, SECOND, THC, THC_TAB, VC_TAB, VOLUME, Method, Quantity, Statistic

OAI_MEASURES: Final[Mapping[str, Quantity]] = {
    "VCL": VOLUME,
    "VCN": VC_TAB,
    "MTH": THC_TAB,
    "PD": DAB,
    "MTC": THC,
    "MAV": MAV,
    "MAT": MIV,
}
"""End of a name -> the quantity, of which it is the main statistic."""

_WHOLE: Final = ("VCL", "VCN", "MTH", "PD", "MTC", "MAV")
_CENTRAL: Final = ("MAT", "MTH", "PD")
_PART: Final = ("MTH", "PD")


def _places() -> dict[str, tuple[Place, tuple[str, ...]]]:
    """Prefix -> place and the measures that the OAI has of it, in the order of its tables."""
    found: dict[str, tuple[Place, tuple[str, ...]]] = {}
    sides = (("M", TIBIA_MEDIAL, CMF, MFTC, CMFTC), ("L", TIBIA_LATERAL, CLF, LFTC, CLFTC))
    for (letter, plate, condyle, both, central), tibia, thirds in zip(sides, TIBIA, CONDYLE, strict=True):
        found[f"W{letter}T"] = plate, _WHOLE
        for part, region in tibia.items():
            found[f"{part[0].upper()}{letter}T"] = region, _CENTRAL if part == CENTRAL else _PART
        found[f"B{letter}F"] = condyle, _WHOLE
        for part, region in thirds.items():
            found[f"{part[0].upper()}B{letter}F"] = region, _CENTRAL if part == CENTRAL else _PART
        found[f"W{letter}TF"] = both, ("MTH",)
        found[f"B{letter}TF"] = central, ("MAT", "MTH")
    return found


_Row = tuple[str, str, str, str]

OAI_VARIABLES: Final[Mapping[_Row, str]] = MappingProxyType(
    {
        (OAI_MEASURES[suffix].id, str(place.plate), place.name, OAI_MEASURES[suffix].main.value): f"{prefix}{suffix}"
        for prefix, (place, suffixes) in _places().items()
        for suffix in suffixes
    }
)
"""(quantity, structure, region, statistic) -> name, in the order of the OAI's tables."""


def variable_of(quantity: Quantity, method: Method, structure: str, region: str, statistic: Statistic) -> str:
    """The name of a row; empty where the OAI has none."""
    if method is SECOND:
        return ""
    return OAI_VARIABLES.get((quantity.id, structure, region, statistic.value), "")

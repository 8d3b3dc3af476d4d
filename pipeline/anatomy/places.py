"""Places of the tables, that is regions, subregions, sums and structures, by the columns of a row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pipeline.anatomy.regions import ALL, Region
from pipeline.anatomy.structures import CARTILAGE_OF, Structure
from pipeline.anatomy.subregions import SCHEMES, SUMS, Place

_ALL: Final[tuple[Place, ...]] = (*(region for scheme in SCHEMES for region in scheme.regions), *SUMS)

PLACES: Final[Mapping[tuple[str, str], Place]] = MappingProxyType(
    {(str(place.plate), place.name): place for place in _ALL}
)
"""(structure, region) -> the place, in the order of tables for people."""

_ORDER: Final = MappingProxyType({key: index for index, key in enumerate(PLACES)})


def region_named(structure: str, region: str) -> Place | None:
    """The place of a row's columns `structure` and `region`; None for other structures than plates."""
    return PLACES.get((str(structure), region))


def place_title(structure: str, region: str) -> str:
    """Name for people of the place that a row is about: `Femur, anterior`, `Medial meniscus`."""
    known = region_named(structure, region)
    if known is not None:
        return known.short
    name = structure.replace("_", " ").capitalize()
    return name if region == ALL else f"{name}, {region.replace('_', ' ')}"


def place_order(structure: str, region: str) -> tuple[int, int]:
    """Sorts places as tables for people show them: regions, then structures by number, then what has no name here."""
    order = _ORDER.get((str(structure), region))
    if order is not None:
        return 0, order
    return 1, next((int(item) for item in Structure if item.key == structure), len(Structure) + 1)


def lies_in(structure: str, region: str) -> tuple[tuple[str, str], ...]:
    """The regions of the first scheme, as (structure, region), that a place lies in: itself, unless it is a subregion
    or a sum.
    """
    known = region_named(structure, region)
    if known is None:
        return ((structure, region),)
    terms = (known,) if isinstance(known, Region) else getattr(known, "terms", ())
    found = [term.within or term for term in terms]
    return tuple((str(item.plate), item.name) for item in found)


def outlines_of_place(structure: str, region: str) -> frozenset[Structure]:
    """The structures whose outlines decide the figures of a place: its cartilage, and the bone under it."""
    found: set[Structure] = set()
    for plate, name in lies_in(structure, region):
        known = region_named(plate, name)
        if isinstance(known, Region):
            plates = CARTILAGE_OF[known.plate.bone]
            found |= {known.plate.bone, *([Structure(known.label)] if known.label in plates else plates)}
        else:
            found |= {item for item in Structure if item.key == plate}
    return frozenset(found)

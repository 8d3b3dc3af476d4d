"""Change without a place: the changes of the femorotibial subregions of one knee in order, and their sums.

Where cartilage is lost differs between knees, so that a mean over knees hides it. Ordered values compare knees rank by
rank (R. J. Buck et al., Arthritis and Rheumatism 2009; 61: 730-738). The change is that of ThCtAB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.anatomy import Region
from pipeline.anatomy.subregions import CONDYLE, TIBIA
from pipeline.comparison.changes import LARGER, Change
from pipeline.flags import Use
from pipeline.quantities import THC_TAB

ORDERED: Final[tuple[Region, ...]] = tuple(region for parts in (*TIBIA, *CONDYLE) for region in parts.values())
"""The 16 subregions: five of each tibial plate, three of each weight-bearing condyle."""
UM_PER_MM: Final = 1000.0


@dataclass(frozen=True, kw_only=True)
class OrderedChange:
    """The change of one subregion, µm. rank: 1 is the most negative; sure: larger than the measurement error."""

    rank: int
    subregion: str
    structure: str
    change_um: float
    sure: bool


@dataclass(frozen=True, kw_only=True)
class OrderedChanges:
    """All subregions of one knee, the most negative change first, and the scores, µm.

    thinning_um    ThCTnS, the sum of the negative changes; thickening_um: ThCTkS, that of the positive ones
    thinner, thicker: number of subregions of which the change is larger than the measurement error
    why_none       why there are no values, as text; empty where there are
    """

    values: tuple[OrderedChange, ...] = ()
    thinning_um: float | None = None
    thickening_um: float | None = None
    thinner: int | None = None
    thicker: int | None = None
    why_none: str = ""


def ordered_changes(rows: Iterable[Change]) -> OrderedChanges:
    """Ordered values of the changes of two analyses (changes.own_changes, judged by the flags).

    Without values if a subregion has no change, or one that must not be used: ranks of fewer subregions would be those
    of other places.
    """
    found = {(row.structure, row.region): row for row in rows if row.quantity == THC_TAB.id}
    known = [(region, found.get((str(region.plate), region.name))) for region in ORDERED]
    there = [(region, row, row.change) for region, row in known if row is not None and row.change is not None]
    if len(there) < len(ORDERED):
        missing = [region.name for region, row in known if row is None or row.change is None]
        return OrderedChanges(why_none=f"No change is known of {', '.join(missing)}.")
    if unusable := [region.name for region, row, _ in there if row.use == Use.NO]:
        return OrderedChanges(why_none=f"The change of {', '.join(unusable)} must not be used.")
    ranked = sorted(there, key=lambda item: item[2])
    values = tuple(
        OrderedChange(
            rank=rank,
            subregion=region.name,
            structure=str(region.plate),
            change_um=UM_PER_MM * change,
            sure=row.verdict == LARGER,
        )
        for rank, (region, row, change) in enumerate(ranked, start=1)
    )
    judged = all(row.sdc is not None for _, row, _ in there)
    return OrderedChanges(
        values=values,
        thinning_um=sum(min(value.change_um, 0.0) for value in values),
        thickening_um=sum(max(value.change_um, 0.0) for value in values),
        thinner=sum(value.sure and value.change_um < 0 for value in values) if judged else None,
        thicker=sum(value.sure and value.change_um > 0 for value in values) if judged else None,
    )


def scores_in_words(found: OrderedChanges) -> str:
    """Both scores, or why there are none."""
    if found.thinning_um is None or found.thickening_um is None:
        return f"Ordered changes: none. {found.why_none}"
    return (
        f"Thinning score (ThCTnS) {found.thinning_um:+.0f} µm, thickening score (ThCTkS) {found.thickening_um:+.0f} µm:"
        f" sums over {len(found.values)} femorotibial subregions."
    )

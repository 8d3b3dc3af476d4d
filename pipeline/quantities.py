"""The one table of what is measured: quantities, methods, statistics, units and the headline figures.

Tables, report, pages, comparison, command line and documentation take names, definitions, units and digits from here.
A new quantity is one entry of QUANTITIES; pipeline.measure.MEASURES maps it to the function that computes its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pipeline.anatomy import FEMUR_WHOLE, PATELLA_WHOLE, TIBIA_LATERAL, TIBIA_MEDIAL, Region
from pipeline.quantity import Direction as Direction
from pipeline.quantity import Method as Method
from pipeline.quantity import PublishedChange as PublishedChange
from pipeline.quantity import Quantity as Quantity
from pipeline.quantity import Statistic as Statistic
from pipeline.quantity import Unit as Unit
from pipeline.relaxation import RELAXATION_LAYERS

MENISCUS_SOURCE: Final = "Wirth et al., Magnetic Resonance in Medicine 2010, doi 10.1002/mrm.22380"
"""Source of the measures of menisci."""

NOMENCLATURE: Final = "Eckstein et al., Osteoarthritis and Cartilage 2006; 14: 974-983"
"""Source of the names of the cartilage measures."""

OUTLINE: Final = "after Wirth and Eckstein, Osteoarthritis and Cartilage Open 2025; 7: 100645"
"""Source of the idea of a plate's outline that does not shrink with disease."""


SPREAD: Final = (Statistic.MEAN, Statistic.STD, Statistic.MEDIAN)
"""Statistics of a quantity with a value at every point; std is that of the population."""

MEASURED: Final = (*SPREAD, Statistic.UNCERTAINTY)
"""With the uncertainty of the mean: 95 % of repeated measurements lie within it on either side (1.96 SD of repeats).
Given where the repeatability of the model that outlined the knee is known for the region.
"""

PRIMARY: Final = Method.UNION
"""The thickness estimator of headlines, tables, charts, flags and comparisons; two_crossing misses thin cartilage."""

SECOND: Final = Method.TWO_CROSSING
"""The other thickness estimator: reported in addition to the primary one, never instead of it."""

THC: Final = Quantity(
    id="ThC",
    title="Cartilage thickness (ThC)",
    short="ThC",
    definition="Mean thickness where there is cartilage, from the bone surface to the outer cartilage surface along "
    "the bone's normal, weighted by bone area.",
    source=NOMENCLATURE,
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=MEASURED,
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
    statistics=MEASURED,
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
THIN_MM: Final = 1.5
"""Cartilage below this thickness counts as thin: about two voxels in the plane of a scan with 0.7 mm slices."""

EXTREME_SHARE: Final = 0.01
"""Share of the area that the thickest and the thinnest cartilage are averaged over."""

MAV: Final = Quantity(
    id="Mav",
    title="Maximum thickness (Mav)",
    short="Mav",
    definition="Mean thickness of the thickest 1 % of the area, denuded bone as 0 mm.",
    source=NOMENCLATURE,
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=(Statistic.MEAN,),
    digits=2,
)
MIV: Final = replace(
    MAV,
    id="Miv",
    title="Minimum thickness (Miv)",
    short="Miv",
    definition="Mean thickness of the thinnest 1 % of the area, denuded bone as 0 mm; of central subregions only, and "
    "added where these are.",
)
CV: Final = Quantity(
    id="ThCtAB_CV",
    title="Variation of thickness (ThCtAB CV)",
    short="ThCtAB CV",
    definition="Standard deviation of thickness over tAB, divided by its mean.",
    source=NOMENCLATURE,
    unit=Unit.PERCENT,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.TOTAL,),
    digits=0,
)
VC_TAB: Final = Quantity(
    id="VCtAB",
    title="Volume over bone area (VCtAB)",
    short="VCtAB",
    definition="Cartilage volume divided by tAB.",
    source=NOMENCLATURE,
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=(Statistic.TOTAL,),
    digits=2,
)
CAB: Final = replace(
    TAB, id="cAB", title="Covered bone area (cAB)", short="cAB", definition="The part of tAB with cartilage."
)
TAB_OUTLINE: Final = replace(
    TAB,
    id="tAB_outline",
    title="Bone area within a healthy outline (tAB, outline)",
    short="tAB (outline)",
    definition="tAB and the bone beyond its rim that the outline of a healthy plate covers, where they are over 3 mm "
    "apart. The outline is carried from the reference bone and fitted to the rest of the rim.",
    source=OUTLINE,
)
DAB_OUTLINE: Final = replace(
    DAB,
    id="dAB_outline",
    title="Denuded bone within a healthy outline (dAB, outline)",
    short="dAB (outline)",
    definition="The part of tAB (outline) without any cartilage, as a percentage: also where cartilage was lost from "
    "the rim inwards.",
    source=OUTLINE,
)
THIN: Final = Quantity(
    id="thin_area",
    title="Thin area",
    short="Thin area",
    definition=f"The part of tAB with less than {THIN_MM} mm of cartilage, denuded bone included.",
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

MENISCUS_THICKNESS: Final = Quantity(
    id="meniscus_thickness",
    title="Meniscus thickness",
    short="Meniscus thickness",
    definition="Height of the meniscus between its tibial and its femoral face, perpendicular to the tibial plateau; "
    "max is the 99.5th percentile over its area.",
    source=MENISCUS_SOURCE,
    unit=Unit.MM,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.MEAN, Statistic.MAX),
    digits=2,
)
MENISCUS_COVERAGE: Final = Quantity(
    id="meniscus_coverage",
    title="Tibial coverage by the meniscus",
    short="Coverage",
    definition="The part of the tibial plate (tAB) with its meniscus within 10 mm above it, as a percentage.",
    source=MENISCUS_SOURCE,
    unit=Unit.PERCENT,
    larger_is=Direction.BETTER,
    statistics=(Statistic.SHARE,),
    digits=1,
)
MENISCUS_EXTRUSION: Final = Quantity(
    id="meniscus_extrusion",
    title="Meniscus extrusion",
    short="Extrusion",
    definition="Distance by which the meniscus (99.5th percentile of its volume) extends beyond the outer edge of its "
    "tibial plate, in the middle tenth of the plate from front to back; negative if it ends inside.",
    source=MENISCUS_SOURCE,
    unit=Unit.MM,
    larger_is=Direction.WORSE,
    statistics=(Statistic.MAX,),
    digits=2,
)
JOINT_SPACE: Final = Quantity(
    id="joint_space",
    title="Joint space, bone to bone",
    short="Joint space",
    definition="Distance from the bone under the tibial plate to the femur, of a knee without load; not the joint "
    "space width of a radiograph.",
    unit=Unit.MM,
    larger_is=Direction.BETTER,
    statistics=(Statistic.MIN, Statistic.MEAN),
    digits=2,
)
JOINT_SPACE_NARROW: Final = Quantity(
    id="joint_space_narrow",
    title="Narrow joint space",
    short="Below 2.5 mm",
    definition="The part of the tibial plate (tAB) with a joint space below 2.5 mm, as a percentage.",
    unit=Unit.PERCENT,
    larger_is=Direction.WORSE,
    statistics=(Statistic.SHARE,),
    digits=1,
)
JOINT_SPACE_AP: Final = Quantity(
    id="joint_space_ap",
    title="Place of the smallest joint space, anterior to posterior",
    short="Place, anterior to posterior",
    definition="Position of the smallest joint space on the tibial plate: 0 % at its anterior end, 100 % at its "
    "posterior end.",
    unit=Unit.PERCENT,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.SHARE,),
    digits=0,
)
JOINT_SPACE_ML: Final = Quantity(
    id="joint_space_ml",
    title="Place of the smallest joint space, inner to outer",
    short="Place, inner to outer",
    definition="Position of the smallest joint space on the tibial plate: 0 % at its border next to the other plate, "
    "100 % at its outer border.",
    unit=Unit.PERCENT,
    larger_is=Direction.NEUTRAL,
    statistics=(Statistic.SHARE,),
    digits=0,
)

MENISCI: Final = (MENISCUS_THICKNESS, MENISCUS_COVERAGE, MENISCUS_EXTRUSION)
JOINT_SPACES: Final = (JOINT_SPACE, JOINT_SPACE_NARROW, JOINT_SPACE_AP, JOINT_SPACE_ML)

QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {
        quantity.id: quantity
        for quantity in (
            THC_MATCHED,
            THC,
            THC_TAB,
            TAB,
            DAB,
            MAV,
            MIV,
            CV,
            VC_TAB,
            CAB,
            THIN,
            TAB_OUTLINE,
            DAB_OUTLINE,
            VOLUME,
            *RELAXATION_LAYERS,
            *MENISCI,
            *JOINT_SPACES,
        )
    }
)
"""Every quantity by its id, in the order of tables and choices. ThC_matched exists in comparisons only."""

THICKNESSES: Final = (THC, THC_TAB, TAB, DAB)
"""Measured on bone surfaces by the thickness methods; shown in separate tables and charts."""

DISTRIBUTION: Final = (MAV, MIV, CV, VC_TAB, CAB, THIN, TAB_OUTLINE, DAB_OUTLINE)
"""How cartilage is distributed over a region; shown together in one table."""

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

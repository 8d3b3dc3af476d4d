"""All checks, with their limits: the one table. A check gives a figure that is larger where a scan looks worse.

Figures are not errors: there is no truth for these scans. A figure at its limit or above is a reason to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pipeline.anatomy import PLATE_ON, Structure
from pipeline.one_knee import LEAST_MM3, PATELLA_FRONT_MM
from pipeline.quality import POOR_FIT_MM, SURE_RATIO
from pipeline.quantities import Unit
from pipeline.scan_checks.bones import holes_in_slices, interrupted, missing_interior, pieces, shaft_ends
from pipeline.scan_checks.cartilage import disagreement, fluid_on
from pipeline.scan_checks.finding import Finding
from pipeline.scan_checks.knee import missing_structures, patella_behind, poor_fit, side
from pipeline.scan_checks.subject import Subject
from pipeline.segmentation.fluid import FLUID_RATIO

Function = Callable[[Subject], Finding | None]
"""None: the check does not apply."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of CHECKS.

    title, unit  as in tables and gallery
    usual        figure of a scan without the fault
    limit        figure from which a scan looks wrong
    source       where both come from
    """

    id: str
    title: str
    unit: str
    usual: float
    limit: float
    source: str
    function: Function

    def severity(self, value: float) -> float:
        """0 for the usual figure or better, 1 at the limit; not more than MOST_SEVERE."""
        return min(max((value - self.usual) / (self.limit - self.usual), 0.0), MOST_SEVERE)

    def fails(self, value: float) -> bool:
        """Whether the figure is at the limit or above."""
        return value >= self.limit


MOST_SEVERE: Final = 5.0
"""So that one extreme figure does not outrank a scan with several faults."""

FLUID_LIMIT: Final = 20.0
_EXPERTS: Final = "expert label maps"


def _fluid(bone: Structure) -> Check:
    plate = PLATE_ON[bone]
    return Check(
        id=f"fluid_in_{plate.value}",
        title=f"Fluid in {plate.display_name.lower()}",
        unit="%",
        usual=5.0,
        limit=FLUID_LIMIT,
        source=f"voxels above {FLUID_RATIO:g} times the femoral median; with {FLUID_LIMIT:g} % or more in the patellar "
        "cartilage, fluid was seen there (13 of 31 clinical exams)",
        function=partial(fluid_on, bone),
    )


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        id="missing_structures",
        title="Structures that were not found",
        unit="",
        usual=0.0,
        limit=1.0,
        source="the structures of the model's card",
        function=missing_structures,
    ),
    Check(
        id="missing_interior",
        title="Missing inside of a bone",
        unit=Unit.MM3.symbol,
        usual=0.0,
        limit=200.0,
        source=f"deeper than 6 mm in the fitted reference bone; 20 {_EXPERTS} have 102 or less",
        function=missing_interior,
    ),
    Check(
        id="bone_holes",
        title="Hole in a bone",
        unit=Unit.MM2.symbol,
        usual=0.0,
        limit=25.0,
        source=f"per slice; 22 {_EXPERTS} have 2 or less",
        function=holes_in_slices,
    ),
    Check(
        id="bone_pieces",
        title="Second piece of a bone",
        unit=Unit.MM3.symbol,
        usual=0.0,
        limit=LEAST_MM3,
        source="smaller pieces are no candidates for a bone of the knee (pipeline/one_knee.py)",
        function=pieces,
    ),
    Check(
        id="bone_interrupted",
        title="Interrupted bone",
        unit="× limit",
        usual=0.3,
        limit=1.0,
        source="the limit of the flag on interrupted bones (pipeline/model_flags.py)",
        function=interrupted,
    ),
    Check(
        id="shaft_end",
        title="Shaft that ends in the image",
        unit="mm",
        usual=0.0,
        limit=6.0,
        source=f"22 {_EXPERTS} have 0; 30 of 31 clinical exams 1.2 or less",
        function=shaft_ends,
    ),
    Check(
        id="patella_behind",
        title="Patella that is not in front",
        unit="mm",
        usual=-50.0,
        limit=PATELLA_FRONT_MM,
        source="the limit by which a patella is chosen (pipeline/one_knee.py)",
        function=patella_behind,
    ),
    Check(
        id="side_uncertain",
        title="Uncertain side",
        unit="",
        usual=0.55,
        limit=round(1.0 / SURE_RATIO, 3),
        source="the limit of the flag on the side (pipeline/quality.py); 1 or more if the other side is stated",
        function=side,
    ),
    Check(
        id="poor_fit",
        title="Distance to the reference knee",
        unit="mm",
        usual=0.9,
        limit=POOR_FIT_MM,
        source="the limit of the flag on unusual bones (pipeline/quality.py)",
        function=poor_fit,
    ),
    _fluid(Structure.PATELLA),
    _fluid(Structure.FEMUR),
    _fluid(Structure.TIBIA),
    Check(
        id="disagreement",
        title="Disagreement of two answers",
        unit="1 - Dice",
        usual=0.1,
        limit=0.3,
        source="Dice of a plate below 0.70 is poor agreement (Zijdenbos et al., IEEE TMI 13, 1994: 716)",
        function=disagreement,
    ),
)

BY_ID: Final = {check.id: check for check in CHECKS}


def findings_of(subject: Subject) -> dict[str, Finding]:
    """Id of every check that applies -> what it found."""
    found = {check.id: check.function(subject) for check in CHECKS}
    return {name: finding for name, finding in found.items() if finding is not None}

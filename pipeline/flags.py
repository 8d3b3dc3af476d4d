"""Quality flags and the use of the measurements: the one table of what each flag says about which numbers.

A flag never stops an analysis. It names a cause once, and FLAGS says for which quantities and regions the numbers need
caution, or must not be used. A new flag is one entry of FlagCode and one of FLAGS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from pipeline.anatomy import ALL, PLATE_ON, REGIONS, Structure, Tissue, lies_in, region_named
from pipeline.quantities import (
    CAB,
    DAB,
    DAB_OUTLINE,
    DISTRIBUTION,
    JOINT_SPACES,
    MENISCI,
    TAB,
    TAB_OUTLINE,
    THC_MATCHED,
    THICKNESSES,
    THIN,
    VC_TAB,
    VOLUME,
)
from pipeline.relaxation import RELAXATION_LAYERS, RELAXATIONS


class Use(StrEnum):
    """Whether a number may be used, as in the column `use`. Later members are graver."""

    YES = "yes"
    CAUTION = "caution"
    NO = "no"

    @property
    def rank(self) -> int:
        """0 for yes; larger is graver."""
        return tuple(Use).index(self)


class FlagCode(StrEnum):
    """All flags, as in the column `flag`."""

    INTERPOLATED_LABELS = "INTERPOLATED_LABELS"
    CARTILAGE_NOT_USABLE = "CARTILAGE_NOT_USABLE"
    STRUCTURE_MISSING = "STRUCTURE_MISSING"
    WRONG_VOXEL_SIZE = "WRONG_VOXEL_SIZE"
    BONE_INTERRUPTED = "BONE_INTERRUPTED"
    CUT_BY_FIELD_OF_VIEW = "CUT_BY_FIELD_OF_VIEW"
    BONE_CUT_BY_FIELD_OF_VIEW = "BONE_CUT_BY_FIELD_OF_VIEW"
    SPACING_TOO_COARSE = "SPACING_TOO_COARSE"
    WRONG_SIDE_SUSPECTED = "WRONG_SIDE_SUSPECTED"
    SIDE_UNCERTAIN = "SIDE_UNCERTAIN"
    UNUSUAL_SIZE = "UNUSUAL_SIZE"
    UNUSUAL_FEMUR = "UNUSUAL_FEMUR"
    UNUSUAL_TIBIA = "UNUSUAL_TIBIA"
    UNUSUAL_PATELLA = "UNUSUAL_PATELLA"
    OUTSIDE_EXPERT_RANGE = "OUTSIDE_EXPERT_RANGE"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    EXPERIMENTAL_STRUCTURE = "EXPERIMENTAL_STRUCTURE"


class Extent(StrEnum):
    """Which regions an effect concerns, of those that the flag names."""

    EVERYWHERE = "everywhere"
    WHOLE_PLATES = "whole plates"
    PARTS = "parts of a plate"
    COMPARTMENTS = "medial and lateral regions"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a flag says about the numbers of some quantities (their ids)."""

    use: Use
    quantities: frozenset[str]
    extent: Extent = Extent.EVERYWHERE


@dataclass(frozen=True, kw_only=True)
class FlagKind:
    """One row of FLAGS.

    meaning     when it is raised
    advice      what to do, after the reason
    effects     the gravest that concerns a row decides
    implied_by  the same cause: not raised beside one of these
    symptom     has a cause that another flag may name: not raised where all of its rows are already not to be used
    statement   holds for every scan of a model: stated beside its numbers, and no point to check in a scan
    """

    meaning: str
    advice: str
    effects: tuple[Effect, ...]
    implied_by: frozenset[FlagCode] = frozenset()
    symptom: bool = False
    statement: bool = False


def _ids(*quantities: Any) -> frozenset[str]:
    return frozenset(quantity.id for quantity in quantities)


_SIZES: Final = _ids(*THICKNESSES, *DISTRIBUTION, THC_MATCHED, VOLUME)
_AMOUNTS: Final = _ids(TAB, DAB, CAB, THIN, TAB_OUTLINE, DAB_OUTLINE, VC_TAB, VOLUME)
_RELAXATION: Final = _ids(*RELAXATION_LAYERS)
_JOINT: Final = _ids(*MENISCI, *JOINT_SPACES)
"""They depend on the outlines of the bones and of the tibial plates."""

_CARTILAGE: Final = _SIZES | _RELAXATION | _JOINT


def _no(quantities: frozenset[str], extent: Extent = Extent.EVERYWHERE) -> Effect:
    return Effect(use=Use.NO, quantities=quantities, extent=extent)


def _caution(quantities: frozenset[str], extent: Extent = Extent.EVERYWHERE) -> Effect:
    return Effect(use=Use.CAUTION, quantities=quantities, extent=extent)


_WHOLE: Final = _ids(*(known.whole for known in RELAXATIONS))
_ONLY_MEDIANS_OF_PLATES: Final = (
    _no(_SIZES | _JOINT),
    _no(_ids(*(layer for known in RELAXATIONS for layer in (known.deep, known.superficial)))),
    _no(_WHOLE, Extent.PARTS),
    _caution(_WHOLE, Extent.WHOLE_PLATES),
)
"""Outlines that miss the edge of cartilage: only the median over a whole plate is hardly changed."""


def _unusual(bone: Structure) -> FlagKind:
    return FlagKind(
        meaning=f"the {bone.key}, by which the knee was aligned, is far from the reference {bone.key}",
        advice="check the outlines",
        effects=(_caution(_CARTILAGE),),
        implied_by=frozenset({FlagCode.WRONG_VOXEL_SIZE}),
    )


FLAGS: Final[Mapping[FlagCode, FlagKind]] = MappingProxyType(
    {
        FlagCode.INTERPOLATED_LABELS: FlagKind(
            meaning="the given label map was resampled with interpolation",
            advice="do not use thickness, area or volume",
            effects=_ONLY_MEDIANS_OF_PLATES,
        ),
        FlagCode.CARTILAGE_NOT_USABLE: FlagKind(
            meaning="slices are thicker than those for which the network's cartilage was usable, or marrow is as "
            "bright beside cartilage as in scans for which it was not",
            advice="do not use thickness, area or volume of cartilage",
            effects=_ONLY_MEDIANS_OF_PLATES,
        ),
        FlagCode.STRUCTURE_MISSING: FlagKind(
            meaning="a bone or a plate of cartilage was not found",
            advice="its measures are missing",
            effects=(_no(_CARTILAGE),),
        ),
        FlagCode.WRONG_VOXEL_SIZE: FlagKind(
            meaning="the bone by which the knee was aligned is stretched along one axis of the image",
            advice="do not use thickness, area or volume, and check the voxel size",
            effects=(_no(_SIZES | _JOINT),),
        ),
        FlagCode.BONE_INTERRUPTED: FlagKind(
            meaning="the network's outline of a bone has gaps along the leg, as from a growth plate or a fracture",
            advice="do not use thickness, area or volume",
            effects=(_no(_SIZES | _JOINT), _caution(_RELAXATION)),
        ),
        FlagCode.CUT_BY_FIELD_OF_VIEW: FlagKind(
            meaning="cartilage or meniscus touches the border of the image; the flag names the border and the regions",
            advice="do not use area, denuded area and volume of the cut regions, they are incomplete",
            effects=(_no(_AMOUNTS | _ids(*MENISCI)), _caution(_CARTILAGE)),
        ),
        FlagCode.BONE_CUT_BY_FIELD_OF_VIEW: FlagKind(
            meaning="a bone touches the border of the image beside its cartilage",
            advice="area may be incomplete",
            effects=(_caution(_AMOUNTS),),
        ),
        FlagCode.SPACING_TOO_COARSE: FlagKind(
            meaning="voxels are longer than 1.5 mm",
            advice="thickness, area and volume are approximate",
            effects=(_caution(_CARTILAGE),),
            implied_by=frozenset({FlagCode.CARTILAGE_NOT_USABLE}),
        ),
        FlagCode.WRONG_SIDE_SUSPECTED: FlagKind(
            meaning="the stated side contradicts the anatomy",
            advice="medial and lateral follow the anatomy",
            effects=(_caution(_CARTILAGE, Extent.COMPARTMENTS),),
        ),
        FlagCode.SIDE_UNCERTAIN: FlagKind(
            meaning="the knee fits a left and a right reference knee nearly alike",
            advice="medial and lateral may be exchanged",
            effects=(_caution(_CARTILAGE, Extent.COMPARTMENTS),),
        ),
        FlagCode.UNUSUAL_SIZE: FlagKind(
            meaning="the bone by which the knee was aligned is much larger or smaller than that of the reference knee",
            advice="check the voxel size",
            effects=(_caution(_SIZES | _JOINT),),
        ),
        FlagCode.UNUSUAL_FEMUR: _unusual(Structure.FEMUR),
        FlagCode.UNUSUAL_TIBIA: _unusual(Structure.TIBIA),
        FlagCode.UNUSUAL_PATELLA: _unusual(Structure.PATELLA),
        FlagCode.OUTSIDE_EXPERT_RANGE: FlagKind(
            meaning="thickness, area or volume is outside the range of the expert label maps",
            advice="check the outlines",
            effects=(_caution(_CARTILAGE),),
            symptom=True,
        ),
        FlagCode.LOW_CONFIDENCE: FlagKind(
            meaning="the network's own confidence in the cartilage is low",
            advice="check the outlines",
            effects=(_caution(_CARTILAGE),),
            implied_by=frozenset({FlagCode.CARTILAGE_NOT_USABLE}),
        ),
        FlagCode.EXPERIMENTAL_STRUCTURE: FlagKind(
            meaning="the model's outlines of the structure were never compared with real ones",
            advice="look at the outlines before you use its numbers",
            effects=(_caution(_ids(VOLUME, *MENISCI)),),
            statement=True,
        ),
    }
)
"""What each flag says, the gravest first."""


def summary_of(code: FlagCode, reason: str) -> str:
    """One short line: the reason, then what to do."""
    return f"{reason[:1].upper()}{reason[1:]}: {FLAGS[code].advice}."


@dataclass(frozen=True, kw_only=True)
class QualityFlag:
    """A reason to look twice.

    code        key of FLAGS
    reason      the cause in a few words, e.g. `slices of 4 mm`
    message     what, found, expected
    structure   key of a structure or plate; empty: the whole knee
    regions     names of regions of that plate; empty: all
    rows        (quantity, region) of the rows concerned; empty: all that FLAGS names
    """

    code: FlagCode
    reason: str
    message: str
    structure: str = ""
    regions: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> QualityFlag:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        return cls(
            code=FlagCode(values["code"]),
            reason=values.get("reason", values["message"]),  # results of version 0.1.0 have the message alone
            message=values["message"],
            structure=values["structure"],
            regions=tuple(values.get("regions", ())),
            rows=tuple((quantity, region) for quantity, region in values.get("rows", ())),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values, with the gravest use and the short line."""
        return asdict(self) | {"code": self.code.value, "use": self.gravest.value, "summary": self.summary}

    @property
    def gravest(self) -> Use:
        """The gravest use that it may lead to."""
        return max((effect.use for effect in FLAGS[self.code].effects), key=lambda use: use.rank)

    @property
    def summary(self) -> str:
        """One short line: the reason, then what to do."""
        return summary_of(self.code, self.reason)

    def use_of(self, quantity: str, structure: str, region: str) -> Use:
        """What it says about a row."""
        if not self._concerns(structure, region) or (self.rows and (quantity, region) not in self.rows):
            return Use.YES
        uses = [
            effect.use
            for effect in FLAGS[self.code].effects
            if quantity in effect.quantities and _within(effect.extent, structure, region)
        ]
        return max(uses, key=lambda use: use.rank, default=Use.YES)

    def _concerns(self, structure: str, region: str) -> bool:
        if not self.structure:
            return True
        plate, regions = _place_of(self.structure)
        named = self.regions or regions
        return any(place == plate and (not named or name in named) for place, name in lies_in(structure, region))


def _place_of(structure: str) -> tuple[str, tuple[str, ...]]:
    """The plate in the column `structure` that a structure's rows are under, and its regions; none: all."""
    known = next((item for item in Structure if item.key == structure), None)
    if known is None:
        return structure, ()
    if known.tissue is Tissue.BONE:
        return PLATE_ON[known], ()
    region = next((item for item in REGIONS if item.label == known and item.name != ALL), None)
    return (region.plate, (region.name, ALL)) if region is not None else (structure, ())


def _within(extent: Extent, structure: str, region: str) -> bool:
    if extent is Extent.EVERYWHERE:
        return True
    known = region_named(structure, region)
    if extent is Extent.COMPARTMENTS:
        return known is not None and known.compartment is not None
    part = known is not None and bool(known.part)
    return part if extent is Extent.PARTS else not part


def deciding_flag(quantity: str, structure: str, region: str, flags: Iterable[QualityFlag]) -> QualityFlag | None:
    """The flag that decides the use of a row: the first of the gravest. None: no flag concerns the row."""
    found = [flag for flag in flags if flag.use_of(quantity, structure, region) is not Use.YES]
    return max(found, key=lambda flag: flag.use_of(quantity, structure, region).rank, default=None)


def use_of(quantity: str, structure: str, region: str, flags: Iterable[QualityFlag]) -> tuple[Use, str]:
    """Whether a row may be used, and the code of the flag that decides it (empty: yes)."""
    flag = deciding_flag(quantity, structure, region, flags)
    return (Use.YES, "") if flag is None else (flag.use_of(quantity, structure, region), flag.code.value)


def settled(flags: Iterable[QualityFlag], rows: Collection[tuple[str, str, str]]) -> tuple[QualityFlag, ...]:
    """One flag per cause, the gravest first.

    rows: quantity, structure and region of every measurement
    """
    found = tuple(dict.fromkeys(flags))
    codes = {flag.code for flag in found}
    causes = [flag for flag in found if not codes & FLAGS[flag.code].implied_by]
    others = [flag for flag in causes if not FLAGS[flag.code].symptom]
    kept = [flag for flag in causes if not (FLAGS[flag.code].symptom and _explained(flag, others, rows))]
    order = list(FLAGS)
    return tuple(sorted(kept, key=lambda flag: (-flag.gravest.rank, order.index(flag.code))))


def _explained(flag: QualityFlag, others: list[QualityFlag], rows: Collection[tuple[str, str, str]]) -> bool:
    concerned = [row for row in rows if flag.use_of(*row) is not Use.YES]
    return bool(concerned) and all(use_of(*row, others)[0] is Use.NO for row in concerned)

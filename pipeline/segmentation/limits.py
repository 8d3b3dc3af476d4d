"""Limits beyond which a model's segmentation must be checked, or its cartilage not used: measured, from its card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

DECIDING: Final = ("source", "confidence_flag", "thick_slices", "contrasts", "experimental")
"""Keys of a card in JSON (ModelCard.to_dict) on which the flags of its outlines depend."""

LEAST_GAIN: Final = 0.3
"""Difference between the flagged shares of the worst tenth and of the other scans from which a flag is raised: 0 for a
flag that is raised at random or always."""


@dataclass(frozen=True, kw_only=True)
class ConfidenceFlag:
    """A scan is flagged if its cartilage has a lower probability or a higher surface entropy (uncalibrated).

    threshold          minimum mean probability of cartilage, 0 to 1
    most_entropy_bits  highest mean entropy near the surface of cartilage, bits; None if unused
    worst_caught       flagged fraction of the worst tenth of the scans, by mean cartilage Dice
    others_flagged     flagged fraction of all other scans
    scans              number of synthetic scans on which it was chosen; the two fractions are of the same scans
    """

    threshold: float
    most_entropy_bits: float | None = None
    worst_caught: float
    others_flagged: float
    scans: int

    @property
    def discriminates(self) -> bool:
        """Whether it tells the worst scans from the others. A rule that does not is a statement, and raises no flag."""
        return self.worst_caught - self.others_flagged >= LEAST_GAIN

    def flags(self, probability: float, entropy_bits: float | None) -> bool:
        """Both values from confidence.cartilage_mean."""
        uncertain = (
            self.most_entropy_bits is not None and entropy_bits is not None and entropy_bits > self.most_entropy_bits
        )
        return probability < self.threshold or uncertain


@dataclass(frozen=True, kw_only=True)
class SliceFigures:
    """Results on synthetic scans with slices of `slice_mm`.

    Mean Dice of bones and cartilage, 0 to 1; RMSE of the regions' mean thickness against the expert map, mm.
    """

    slice_mm: float
    knees: int
    bone_dice: float
    cartilage_dice: float
    thickness_rmse_mm: float


@dataclass(frozen=True, kw_only=True)
class ThickSlices:
    """Slice thickness limit. usable_slice_mm: the largest tested thickness with usable cartilage; 0: none."""

    measured_on: str
    rows: tuple[SliceFigures, ...]
    usable_slice_mm: float

    def at(self, slice_mm: float) -> SliceFigures | None:
        """The figures of the closest tested slice thickness; None if none was tested."""
        return min(self.rows, key=lambda row: abs(row.slice_mm - slice_mm), default=None)


@dataclass(frozen=True, kw_only=True)
class ContrastFigures:
    """Results on synthetic scans of one sequence, in voxels of up to 1 mm. usable: within limits, as for thick slices.

    marrow_contrast  mean over the scans (segmentation/contrast.py)
    Mean Dice, 0 to 1; mean and RMSE of the errors of the regions' mean thickness, ours minus the experts', mm.
    """

    name: str
    marrow_contrast: float
    knees: int
    bone_dice: float
    cartilage_dice: float
    thickness_bias_mm: float
    thickness_rmse_mm: float
    usable: bool


def closest_contrast(rows: Sequence[ContrastFigures], contrast: float) -> ContrastFigures | None:
    """The figures of the sequence whose contrast is closest, as a ratio; None if none was tested."""
    if contrast <= 0:
        return None
    return min(rows, key=lambda row: abs(math.log(row.marrow_contrast / contrast)), default=None)


def contrasts_of(card: Mapping[str, object], digests: Mapping[str, str]) -> tuple[ContrastFigures, ...]:
    """From a card's JSON; empty where they were not measured with these files.

    Raises KeyError, TypeError where the entry is incomplete.
    """
    found: Any = card.get("contrasts")
    if found is None or not holds_for(found, digests):
        return ()
    return tuple(ContrastFigures(**row) for row in found["rows"])


def confidence_flag_of(card: Mapping[str, object], digests: Mapping[str, str]) -> ConfidenceFlag | None:
    """From a card's JSON; None where none was chosen with these files (ModelIdentity.digests).

    Raises KeyError, TypeError where the entry is incomplete.
    """
    found: Any = card.get("confidence_flag")
    if found is None or not holds_for(found, digests):
        return None
    return ConfidenceFlag(**found["rule"])


def holds_for(measured: Mapping[str, object], digests: Mapping[str, str]) -> bool:
    """Whether something was measured with these files: all of a model's, by their roles."""
    found: Any = measured.get("digests", {})
    return bool(digests) and dict(found) == dict(digests)


def thick_slices_of(card: Mapping[str, object]) -> ThickSlices | None:
    """From a card's JSON; None where it has no such figures. Raises KeyError, TypeError where they are incomplete."""
    accuracy: Any = card.get("accuracy", {})
    found = accuracy.get("thick_slices")
    if found is None:
        return None
    return ThickSlices(
        measured_on=found["measured_on"],
        rows=tuple(SliceFigures(**row) for row in found["rows"]),
        usable_slice_mm=float(found["usable_slice_mm"]),
    )

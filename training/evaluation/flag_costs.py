"""make evaluate-flags: what each flag catches, and what it costs.

The scans of all conditions are ranked by their mean cartilage Dice. A flag should be raised in the worst tenth of them
and in few others: one that is raised everywhere says nothing about a scan. The confidence flag is chosen again, on the
scans without a flag that implies it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from pipeline.anatomy import Plate
from pipeline.flags import FLAGS, FlagCode
from pipeline.segmentation.limits import ConfidenceFlag
from training.evaluation.examine import ENTROPY_BITS, PROBABILITY, Examined, Group
from training.knee_unet.confidence import WORST_SHARE, Rated, rule

PLATES: Final = tuple(plate.value for plate in Plate)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Fractions of the worst tenth and of the other scans in which a flag is raised."""

    code: str
    caught: float
    others: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """scans: number that could be measured; refused: that could not. rule: of the confidence flag; chosen_on: scans."""

    scans: int
    refused: int
    worst_dice: float
    costs: tuple[Cost, ...]
    rule: ConfidenceFlag

    def lines(self) -> list[str]:
        """As a table."""
        found = [
            f"{self.scans} scans ({self.refused} refused by the pipeline); the worst tenth has a cartilage Dice of "
            f"{self.worst_dice:.3f} or less",
            "",
            f"{'flag':28}{'worst tenth':>14}{'others':>10}{'gain':>8}",
        ]
        found += [f"{c.code:28}{c.caught:>14.0%}{c.others:>10.0%}{c.caught - c.others:>8.2f}" for c in self.costs]
        entropy = self.rule.most_entropy_bits
        surface = f", or entropy above {entropy} bits" if entropy is not None else ""
        verdict = "is raised" if self.rule.discriminates else "is NOT raised: it does not distinguish bad outlines"
        return [
            *found,
            "",
            f"{FlagCode.LOW_CONFIDENCE}, chosen on the {self.rule.scans} scans without a flag that implies it: "
            f"probability below {self.rule.threshold}{surface}; {self.rule.worst_caught:.0%} of their worst tenth, "
            f"{self.rule.others_flagged:.0%} of the others. It {verdict}.",
        ]


def judge(results: list[Examined]) -> Judged:
    """Cost of every flag. Raises ValueError if no scan could be measured, or none has cartilage."""
    measured = sorted((one for one in results if not one.failed), key=mean_dice)
    if not measured:
        raise ValueError("no scan could be measured; expected at least one")
    count = math.ceil(WORST_SHARE * len(measured))
    worst, others = measured[:count], measured[count:]
    codes = [code for code in FLAGS if any(code in one.flags for one in measured)]
    implying = FLAGS[FlagCode.LOW_CONFIDENCE].implied_by
    return Judged(
        scans=len(measured),
        refused=len(results) - len(measured),
        worst_dice=mean_dice(worst[-1]),
        costs=tuple(Cost(code=code, caught=_share(code, worst), others=_share(code, others)) for code in codes),
        rule=rule([_rated(one) for one in measured if not implying & set(one.flags)]),
    )


def mean_dice(one: Examined) -> float:
    """Over the plates of the truth; 0 for a plate that was not found."""
    dice = [value for name, value in one.values[Group.DICE].items() if name in PLATES]
    return sum(dice) / len(dice)


def _share(code: str, scans: list[Examined]) -> float:
    return sum(code in one.flags for one in scans) / len(scans) if scans else 0.0


def _rated(one: Examined) -> Rated:
    confidence = one.values[Group.CONFIDENCE]
    return Rated(
        name=one.knee,
        condition=one.condition,
        dice={name: value for name, value in one.values[Group.DICE].items() if name in PLATES},
        probability=confidence.get(PROBABILITY),
        entropy_bits=confidence.get(ENTROPY_BITS),
    )

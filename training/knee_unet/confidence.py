"""The confidence below which a scan is flagged: chosen on rated scans, and written to the card.

The rule flags the worst tenth of the scans by mean cartilage Dice, or as much of it as possible without flagging more
than MOST_OTHERS of the others: a flag that is always raised is useless. Both fractions are stored with the rule. They
are of the scans that it was chosen on, so expect worse on others. make evaluate-flags rates the scans.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.segmentation.limits import ConfidenceFlag
from training.knee_unet.built_in import read_card

WORST_SHARE: Final = 0.1
MOST_OTHERS: Final = 0.25
"""Maximum fraction of the scans outside the worst tenth that may be flagged."""
DECIMALS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Rated:
    """One scan: Dice of each plate (0 if not found), mean probability and surface entropy of its cartilage.

    Probability and entropy are None if no cartilage was found.
    """

    name: str
    condition: str
    dice: dict[str, float]
    probability: float | None
    entropy_bits: float | None

    @property
    def mean_dice(self) -> float:
        """Mean over the plates."""
        return float(np.mean(list(self.dice.values())))


def rule(rated: list[Rated]) -> ConfidenceFlag:
    """The limits that flag all of the worst tenth, or as much of it as possible with at most MOST_OTHERS of the others.

    Ties are resolved in favour of fewer flagged others; an entropy limit is used only where it improves the result.
    Raises ValueError if no cartilage was found in any scan.
    """
    ordered = sorted(rated, key=lambda one: one.mean_dice)
    count = math.ceil(WORST_SHARE * len(ordered))
    worst, others = ordered[:count], ordered[count:]
    unit = 10.0**DECIMALS
    probabilities = [one.probability for one in worst if one.probability is not None]
    bits = [one.entropy_bits for one in worst if one.entropy_bits is not None]
    thresholds = sorted({(math.floor(p * unit) + 1) / unit for p in probabilities})
    entropies = sorted({(math.ceil(h * unit) - 1) / unit for h in bits}, reverse=True)
    if not thresholds:
        raise ValueError("no cartilage was found in any of the worst scans; expected a probability")
    rules = [_tried(t, entropy, worst, others) for entropy in (None, *entropies) for t in thresholds]
    bearable = [one for one in rules if one.others_flagged <= MOST_OTHERS] or rules[:1]
    return max(bearable, key=lambda one: (one.worst_caught, -one.others_flagged))


def _tried(threshold: float, entropy_bits: float | None, worst: list[Rated], others: list[Rated]) -> ConfidenceFlag:
    limits = ConfidenceFlag(
        threshold=threshold,
        most_entropy_bits=entropy_bits,
        worst_caught=0.0,
        others_flagged=0.0,
        scans=len(worst) + len(others),
    )
    return replace(limits, worst_caught=_flagged(limits, worst), others_flagged=_flagged(limits, others))


def _flagged(limits: ConfidenceFlag, scans: list[Rated]) -> float:
    """Fraction of the scans that are flagged; a scan without cartilage has no confidence and is not flagged."""
    flags = [one.probability is not None and limits.flags(one.probability, one.entropy_bits) for one in scans]
    return round(float(np.mean(flags)), 2) if flags else 0.0


def write_rule(path: Path, digests: Mapping[str, str], found: ConfidenceFlag, conditions: list[str]) -> None:
    """Write the rule into the model's card. conditions: in which the scans were rendered, in words.

    Raises ValueError if the card's digest differs from that of the measured weights.
    """
    content = read_card(path, digests)
    content["confidence_flag"] = {
        "made_by": "make evaluate-flags",
        "chosen_on": (
            f"synthetic scans of held-out maps, each in {len(conditions)} conditions ({'; '.join(conditions)}), "
            "without those whose cartilage a flag on thick slices already excludes; "
            "the fractions are of the same scans: expect worse on other scans"
        ),
        "digests": dict(digests),
        "rule": asdict(found),
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

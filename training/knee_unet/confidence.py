"""make evaluate EVALUATE=--confidence: choose the confidence below which a scan is flagged.

Every held-out map is rendered in the CONDITIONS, segmented by the pipeline, and ranked by mean cartilage Dice. The rule
in the card flags the worst tenth of these scans, or as much of it as possible without flagging more than MOST_OTHERS of
the others: a flag that is always raised is useless. Both fractions are stored with the rule. The rule is chosen and
measured on the same synthetic scans, so expect worse results on other scans.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import CARTILAGE_OF
from pipeline.segmentation.confidence import cartilage_mean
from pipeline.segmentation.limits import ConfidenceFlag
from pipeline.segmentation.segmenter import Segmenter as Model
from pipeline.types import Scan, Segmentation
from training.knee_unet.built_in import read_card
from training.knee_unet.scans import UNSEEN, Protocol, dess_scan, thick_scan
from training.knee_unet.specimen import read_expert_map

SEED: Final = 90_000
WORST_SHARE: Final = 0.1
MOST_OTHERS: Final = 0.25
"""Maximum fraction of the scans outside the worst tenth that may be flagged."""
DECIMALS: Final = 3
RECORD: Final = Path("build/confidence")
"""Results of scans already rated, one file per model."""
Segmenter = Callable[[Scan], Segmentation]
RenderKnee = Callable[[Segmentation, int], tuple[Scan, Segmentation]]
"""Expert map and seed -> a rendered scan, and the map on the scan's grid."""


def _dess(protocol: Protocol) -> RenderKnee:
    return lambda knee, seed: (dess_scan(knee, protocol, seed), knee)


_SHORT, _LONG = UNSEEN
CONDITIONS: Final[dict[str, RenderKnee]] = {
    "short": _dess(_SHORT),
    "long": _dess(_LONG),
    "noisy": _dess(replace(_LONG, scanner=replace(_LONG.scanner, noise=3 * _LONG.scanner.noise))),
    "uneven field": _dess(replace(_SHORT, scanner=replace(_SHORT.scanner, bias=3 * _SHORT.scanner.bias))),
    "bright fat, 1.4 mm slices": lambda knee, seed: thick_scan(knee, seed, factor=2),
}
"""Slices thicker than quality.COARSE_MM have a separate flag and are excluded: all would be among the worst."""


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


def plate_dice(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of the cartilage on each bone with cartilage in the truth."""
    result = {}
    for bone, plates in CARTILAGE_OF.items():
        ours, true = found.mask(*plates), truth.mask(*plates)
        if true.any():
            both, either = np.count_nonzero(ours & true), np.count_nonzero(ours) + np.count_nonzero(true)
            result[bone.key] = 2.0 * both / either
    return result


def rate(path: Path, number: int, condition: str, numbering: str, segment: Segmenter) -> Rated:
    """Render, segment and rate one map in one condition."""
    seed = SEED + 1000 * list(CONDITIONS).index(condition) + number
    scan, truth = CONDITIONS[condition](read_expert_map(path, numbering), seed)
    found = segment(scan)
    return Rated(
        name=path.name.split(".")[0],
        condition=condition,
        dice=plate_dice(found, truth),
        probability=cartilage_mean(found.confidence),
        entropy_bits=cartilage_mean(found.surface_entropy_bits),
    )


def rate_all(paths: list[Path], rate_one: Callable[[Path, int, str], Rated], digest: str, record: Path) -> list[Rated]:
    """Rate every map in every condition. Each result is appended to `record`, so that an interrupted run resumes. The
    record is valid for the same weights only.
    """
    done = read_record(record, digest)
    rated = []
    for number, path in enumerate(paths):
        for condition in CONDITIONS:
            key = path.name.split(".")[0], condition
            rated.append(one := done.get(key) or rate_one(path, number, condition))
            print(f"{one.name} {condition:26} Dice {one.mean_dice:.3f}  probability {one.probability}", flush=True)
            write_record(record, digest, rated)
    return rated


def read_record(path: Path, digest: str) -> dict[tuple[str, str], Rated]:
    """(map, condition) -> results of a previous run with these weights; empty if there are none."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    rated = [Rated(**row) for row in content["scans"]] if content["weights_sha256"] == digest else []
    return {(one.name, one.condition): one for one in rated}


def write_record(path: Path, digest: str, rated: list[Rated]) -> None:
    """See `read_record`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"weights_sha256": digest, "scans": [asdict(one) for one in rated]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


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


def choose(paths: list[Path], numbering: str, segment: Segmenter, model: Model) -> ConfidenceFlag:
    """Rate the maps in every condition, choose the rule, and print its performance."""

    def rate_one(path: Path, number: int, condition: str) -> Rated:
        return rate(path, number, condition, numbering, segment)

    digest = "".join(model.identity().digests.values())
    found = rule(rate_all(paths, rate_one, digest, RECORD / f"{model.card.id}.json"))
    entropy = found.most_entropy_bits
    surface = f" or entropy near its surface above {entropy} bits" if entropy is not None else ""
    print(
        f"\nmean cartilage probability below {found.threshold}{surface}: flags {found.worst_caught:.0%} of the worst "
        f"tenth of {found.scans} scans and {found.others_flagged:.0%} of the others"
    )
    return found


def write_rule(path: Path, digests: Mapping[str, str], found: ConfidenceFlag) -> None:
    """Write the rule into the model's card.

    Raises ValueError if the card's digest differs from that of the measured weights.
    """
    content = read_card(path, digests)
    content["confidence_flag"] = {
        "made_by": "make evaluate EVALUATE=--confidence",
        "chosen_on": (
            f"synthetic scans of held-out maps, each in {len(CONDITIONS)} conditions ({'; '.join(CONDITIONS)}); "
            "the fractions are of the same scans: expect worse on other scans"
        ),
        "digests": dict(digests),
        "rule": asdict(found),
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

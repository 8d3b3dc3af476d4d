"""What the flags catch and cost, from scans with a known result; flags of a knee as an analysis raises them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import Plate, Structure
from pipeline.segmentation.knee_unet import knee_unet
from tests.support.knees import coarse_knee
from training.evaluation.examine import PROBABILITY, Examined, Group
from training.evaluation.flag_costs import judge, mean_dice
from training.evaluation.flags import raised


def scan(number: int, dice: float, probability: float, *flags: str) -> Examined:
    plates = {plate.value: dice for plate in Plate}
    return Examined(
        knee=str(number),
        condition="t1",
        seconds=1.0,
        values={Group.DICE.value: plates | {"femur": 1.0}, Group.CONFIDENCE.value: {PROBABILITY: probability}},
        flags=flags,
    )


def test_a_flag_of_the_worst_scans_costs_nothing_and_one_of_all_scans_says_nothing() -> None:
    dice = np.linspace(0.5, 0.9, 20)
    results = [
        scan(k, float(d), float(d), "OUTSIDE_EXPERT_RANGE", *(["BONE_INTERRUPTED"] if k < 2 else []))
        for k, d in enumerate(dice)
    ]
    costs = {cost.code: (cost.caught, cost.others) for cost in judge(results).costs}
    assert costs == {"OUTSIDE_EXPERT_RANGE": (1.0, 1.0), "BONE_INTERRUPTED": (1.0, 0.0)}


def test_the_confidence_flag_is_chosen_on_scans_where_it_can_be_raised() -> None:
    thin = [scan(k, d, d) for k, d in enumerate(np.linspace(0.6, 0.9, 20))]
    thick = [scan(100 + k, 0.4, 0.95, "CARTILAGE_NOT_USABLE") for k in range(20)]
    judged = judge([*thin, *thick])
    assert judged.scans == 40
    assert (judged.rule.scans, judged.rule.worst_caught, judged.rule.others_flagged) == (20, 1.0, 0.0)
    assert judged.rule.discriminates
    assert "It is raised." in judged.lines()[-1]


def test_confidence_that_does_not_follow_the_outlines_is_stated_and_not_raised() -> None:
    results = [scan(k, d, 0.9 - 0.001 * k) for k, d in enumerate(np.linspace(0.6, 0.9, 20))]
    judged = judge(results)
    assert not judged.rule.discriminates
    assert "NOT raised" in judged.lines()[-1]


def test_refused_scans_are_counted_apart() -> None:
    refused = replace(scan(1, 0.5, 0.5), failed="NO_KNEE: none", values={})
    judged = judge([scan(0, 0.8, 0.8), refused])
    assert (judged.scans, judged.refused) == (1, 1)
    with pytest.raises(ValueError, match="no scan could be measured"):
        judge([refused])


def test_bones_do_not_count_for_the_rank() -> None:
    assert mean_dice(scan(0, 0.5, 0.5)) == pytest.approx(0.5)


def test_flags_are_those_of_an_analysis() -> None:
    knee = coarse_knee()
    without = replace(knee, labels=np.where(knee.labels == Structure.PATELLA, 0, knee.labels).astype(np.uint8))
    card = knee_unet().card
    assert "STRUCTURE_MISSING" not in raised(knee, card)
    assert "STRUCTURE_MISSING" in raised(without, card)
    assert "CARTILAGE_NOT_USABLE" in raised(knee, card), "slices of 2 mm"

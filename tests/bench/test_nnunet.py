"""The comparison with nnU-Net's predictor reports exactly the missed bars."""

from __future__ import annotations

from bench.nnunet import DEFAULTS, OURS, missed_bars


def costs(ours: float, theirs: float) -> dict[str, dict[str, float]]:
    return {OURS: {"wall_s": ours / 2, "cpu_s": ours}, DEFAULTS: {"wall_s": theirs / 2, "cpu_s": theirs}}


def dice(ours: float, theirs: float) -> dict[str, dict[str, float]]:
    return {OURS: {"femur": ours}, DEFAULTS: {"femur": theirs}}


def test_a_quarter_of_the_time_and_dice_within_the_bar_pass() -> None:
    assert missed_bars(costs(25, 100), dice(0.900, 0.904)) == []


def test_a_better_result_than_theirs_misses_no_bar() -> None:
    assert missed_bars(costs(10, 100), dice(0.95, 0.90)) == []


def test_more_time_or_a_worse_result_is_reported_with_both_numbers() -> None:
    slow, worse = missed_bars(costs(30, 100), dice(0.89, 0.90))
    assert "0.300" in slow
    assert "0.25" in slow
    assert "femur: Dice 0.8900, nnU-Net 0.9000" in worse

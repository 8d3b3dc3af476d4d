"""Bias, limits of agreement, ICC and correlation against published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.validation.statistics import icc_agreement, paired_figures

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)
"""Table 2 of Shrout & Fleiss 1979: six targets, four judges. Their ICC(2,1) is .29 (ICC(1,1) .17, ICC(3,1) .71)."""

LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
"""Table 1 of Bland & Altman 1986: peak expiratory flow, first measurement by each meter, l/min. They find a mean
difference (large - mini) of -2.1, a standard deviation of 38.8, limits of -79.7 and 75.5, and a correlation of 0.94.
"""


def test_the_icc_is_that_of_shrout_and_fleiss() -> None:
    assert icc_agreement(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)


def test_limits_of_agreement_are_those_of_bland_and_altman() -> None:
    found = paired_figures(MINI_METER, LARGE_METER)
    assert found.n == 17
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # the paper takes 2 standard deviations
    assert found.bias - 2 * found.sd == pytest.approx(-79.7, abs=0.1)
    assert found.bias + 2 * found.sd == pytest.approx(75.5, abs=0.1)
    assert (found.low, found.high) == pytest.approx((found.bias - 1.96 * found.sd, found.bias + 1.96 * found.sd))
    assert found.pearson == pytest.approx(0.94, abs=0.005)


def test_a_constant_offset_lowers_agreement_but_not_correlation() -> None:
    true = np.array([1.0, 2.0, 3.0, 4.0])
    same, shifted = paired_figures(true, true), paired_figures(true, true + 1.0)
    assert (same.icc, same.pearson, same.rmse) == pytest.approx((1.0, 1.0, 0.0))
    assert (shifted.bias, shifted.sd, shifted.rmse) == pytest.approx((1.0, 0.0, 1.0))
    assert shifted.pearson == pytest.approx(1.0)
    assert shifted.icc < 0.8


def test_two_cases_give_a_bias_but_no_limits() -> None:
    found = paired_figures([1.0, 2.0], [1.5, 2.1])
    assert found.bias == pytest.approx(0.3)
    assert all(math.isnan(value) for value in (found.low, found.high, found.icc, found.pearson))


def test_equal_values_have_no_correlation_and_no_icc() -> None:
    found = paired_figures([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert (found.bias, found.rmse) == (0.0, 0.0)
    assert math.isnan(found.pearson)
    assert math.isnan(found.icc)


def test_without_cases_nothing_is_a_number() -> None:
    found = paired_figures([], [])
    assert found.n == 0
    assert math.isnan(found.bias)

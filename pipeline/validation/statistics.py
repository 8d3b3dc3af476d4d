"""Agreement of two methods that measure the same quantity on the same cases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from pipeline.grid import FloatArray

NORMAL_95: Final = 1.96
"""95 % of a normal distribution is within this many standard deviations of its mean."""

LEAST_CASES: Final = 3
"""Fewer pairs give no limits of agreement, correlation or ICC."""

ICC: Final = "ICC(2,1)"
"""Two-way random effects, absolute agreement, single measurement."""

ICC_SOURCE: Final = (
    "Shrout & Fleiss, Psychological Bulletin 1979; 86: 420-428, case 2; ICC(A,1) of McGraw & Wong, Psychological "
    "Methods 1996; 1: 30-46"
)
LIMITS_SOURCE: Final = "Bland & Altman, Lancet 1986; 327: 307-310"


@dataclass(frozen=True, kw_only=True)
class PairedFigures:
    """Differences of a model from an expert over n cases, in the unit of the quantity. NaN where undefined.

    bias       mean of model - expert; sd: their standard deviation (n - 1); rmse: root of their mean square
    low, high  95 % limits of agreement: bias -/+ 1.96 sd
    icc        ICC(2,1); pearson: correlation coefficient
    expert_mean  mean of the expert's values
    """

    n: int
    bias: float
    sd: float
    rmse: float
    low: float
    high: float
    icc: float
    pearson: float
    expert_mean: float


def paired_figures(expert: ArrayLike, model: ArrayLike) -> PairedFigures:
    """Figures of finite values (n,) that belong together; n = 0 gives NaN everywhere.

    Sources: LIMITS_SOURCE, ICC_SOURCE. Limits, icc and pearson need LEAST_CASES cases.
    """
    true, ours = np.asarray(expert, np.float64), np.asarray(model, np.float64)
    n = len(true)
    if n == 0:
        return PairedFigures(n=0, **dict.fromkeys(_NAMES, math.nan))
    errors = ours - true
    bias, enough = float(errors.mean()), n >= LEAST_CASES
    sd = float(errors.std(ddof=1)) if n > 1 else math.nan
    return PairedFigures(
        n=n,
        bias=bias,
        sd=sd,
        rmse=float(np.sqrt((errors**2).mean())),
        low=bias - NORMAL_95 * sd if enough else math.nan,
        high=bias + NORMAL_95 * sd if enough else math.nan,
        icc=icc_agreement(np.stack([true, ours], axis=1)) if enough else math.nan,
        pearson=pearson(true, ours) if enough else math.nan,
        expert_mean=float(true.mean()),
    )


_NAMES: Final = ("bias", "sd", "rmse", "low", "high", "icc", "pearson", "expert_mean")


def pearson(a: FloatArray, b: FloatArray) -> float:
    """Correlation coefficient of (n,) and (n,); NaN if one of them is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def icc_agreement(ratings: FloatArray) -> float:
    """ICC(2,1) of ratings (cases, raters), at least 2 x 2: absolute agreement, one measurement; NaN if all are equal.

    Source: ICC_SOURCE. With mean squares between cases (BMS), between raters (JMS) and of the residual (EMS):
    (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n).
    """
    n, k = ratings.shape
    mean = ratings.mean()
    of_cases, of_raters = ratings.mean(axis=1), ratings.mean(axis=0)
    between = k * float(((of_cases - mean) ** 2).sum()) / (n - 1)
    judges = n * float(((of_raters - mean) ** 2).sum()) / (k - 1)
    residual = ratings - of_cases[:, None] - of_raters[None, :] + mean
    error = float((residual**2).sum()) / ((n - 1) * (k - 1))
    total = between + (k - 1) * error + k * (judges - error) / n
    return (between - error) / total if total > 0 else math.nan

"""T2 over echo times, T1rho over spin-lock times: vectorised least-squares fit of one exponential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import FloatArray

BoolArray = NDArray[np.bool_]

MAX_T2_MS: Final = 500.0
"""Longer T2 is fluid or noise, not cartilage (20 to 70 ms), and is not reported."""

GAUSS_NEWTON_STEPS: Final = 6
EXTRA_STEPS: Final = 40
"""Additional steps for the few voxels (flat or noise) that have not converged."""

CONVERGED: Final = 1e-9
"""Relative change of the rate at convergence."""

CHUNK: Final = 8192
"""Voxels fitted at once: 0.5 MB per intermediate array at 8 echoes, which fits into the CPU cache."""

_TINY: Final = 1e-300


def fit_t2(
    echoes: NDArray[np.float32], echo_times_ms: Sequence[float], mask: BoolArray, *, skip_first_echo: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least-squares fit of S0 exp(-TE/T2) to echoes (e, z, y, x) in every voxel of mask (z, y, x); with spin-lock times
    and T1rho alike.

    Returns (t2_ms, r2), both (z, y, x) float32: T2 in (0, MAX_T2_MS] and the coefficient of determination; NaN outside
    the mask and without a decay.
    """
    first = 1 if skip_first_echo else 0
    times = np.asarray(echo_times_ms, dtype=np.float64)[first:]
    signals = echoes[first:, mask]
    t2 = np.full(mask.shape, np.nan, dtype=np.float32)
    r2 = t2.copy()
    fitted = np.empty((2, signals.shape[1]))
    for start in range(0, signals.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        fitted[:, part] = fit_decay(signals[:, part].astype(np.float64), times)
    t2[mask], r2[mask] = fitted
    return t2, r2


def fit_decay(signals: FloatArray, times_ms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(t2_ms (n,), r2 (n,)) of signals (e, n) at times (e,): the least-squares optimum, NaN if it is not a decay.

    For a given rate R = 1/T2 the optimal S0 is linear, so only R is iterated (variable projection: Golub and
    Pereyra, SIAM J Numer Anal 1973, 10:413).
    """
    moments = np.stack([np.ones_like(times_ms), times_ms, times_ms**2])
    # beyond these bounds T2 is far above MAX_T2_MS, or the signal decays before the second echo
    low, high = 1e-3 / MAX_T2_MS, 20.0 / float(np.min(np.diff(times_ms)))
    rate = np.clip(_log_linear_rate(signals, times_ms), 1.0 / MAX_T2_MS, high)
    rate, settled = _descend(signals, times_ms, moments, rate, (low, high), GAUSS_NEWTON_STEPS)
    rest = np.flatnonzero(~settled)
    if len(rest):
        rate[rest], _ = _descend(signals[:, rest], times_ms, moments, rate[rest], (low, high), EXTRA_STEPS)
    captured, _, s0 = _step(signals, times_ms, moments, rate)
    total = np.einsum("en,en->n", signals, signals)
    spread = total - signals.sum(axis=0) ** 2 / len(times_ms)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1.0 - (total - captured) / np.where(spread > 0, spread, np.nan)
    t2 = 1.0 / rate
    valid = np.isfinite(t2) & np.isfinite(r2) & (s0 > 0) & (t2 <= MAX_T2_MS) & (rate < 0.999 * high)
    return np.where(valid, t2, np.nan), np.where(valid, r2, np.nan)


def _log_linear_rate(signals: FloatArray, times_ms: FloatArray) -> FloatArray:
    """(n,) decay rate by a straight line through log S, weighted with S² for the noise of the logarithm."""
    positive = np.maximum(signals, 0.0)
    weights = positive**2
    logs = np.log(np.where(positive > 0, positive, 1.0))
    w, wt = weights.sum(axis=0), times_ms @ weights
    wtt, wl, wtl = times_ms**2 @ weights, (weights * logs).sum(axis=0), times_ms @ (weights * logs)
    spread = w * wtt - wt**2
    slope: FloatArray = (wt * wl - w * wtl) / np.where(spread > 0, spread, np.inf)
    return slope


def _step(
    signals: FloatArray, times_ms: FloatArray, moments: FloatArray, rate: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """At each rate: (captured, step, s0).

    captured (n,): the explained part of the sum of squares, to be maximised; step: change of the rate;
    s0: best amplitude. The step is Gauss-Newton's, with the second-order term of the residual in the curvature if it
    stays clearly positive (quadratic convergence).
    """
    decay = np.exp(-np.outer(times_ms, rate))
    a, c, e = moments @ (decay * decay)
    b, d, g = moments @ (decay * signals)
    s0 = b / np.maximum(a, _TINY)
    slope = s0 * (d - s0 * c)
    gauss_newton = s0**2 * (e - c**2 / np.maximum(a, _TINY))
    newton = 2 * s0**2 * e - s0 * g - (d - 2 * s0 * c) ** 2 / np.maximum(a, _TINY)
    curvature = np.where(newton > 0.3 * gauss_newton, newton, gauss_newton)
    return b * s0, -slope / np.maximum(curvature, _TINY), s0


def _descend(
    signals: FloatArray,
    times_ms: FloatArray,
    moments: FloatArray,
    rate: FloatArray,
    bounds: tuple[float, float],
    steps: int,
) -> tuple[FloatArray, BoolArray]:
    """(rate, converged) after `steps` controlled steps: none worsens the fit or changes T2 more than threefold."""
    captured, step, _ = _step(signals, times_ms, moments, rate)
    settled = np.zeros(len(rate), dtype=bool)
    for _ in range(steps):
        tried = np.clip(np.clip(rate + step, rate / 3, rate * 3), *bounds)
        settled = np.abs(tried - rate) <= CONVERGED * rate
        new, following, _ = _step(signals, times_ms, moments, tried)
        worse = new < captured * (1 - 1e-15)
        # a step that worsens the fit is rejected; the next one is a quarter of it
        step = np.where(worse, (tried - rate) / 4, following)
        rate = np.where(worse, rate, tried)
        captured = np.where(worse, captured, new)
        if settled.all():
            break
    return rate, settled

"""Estimates the duration of an analysis from previous ones."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.progress import StepState

UNKNOWN_TIME_S: Final = 60.0
"""Duration without history (a 160 x 384 x 384 scan on two cores: 15 to 45 s)."""

SAME_SIZE: Final = 2.0
"""Scans whose voxel counts differ by less than this factor take the same time, because the network resamples them."""

MAX_SCALE: Final = 4.0
MIN_SIMILAR_RUNS: Final = 3
MIN_REMAINING_SHARE: Final = 0.1
"""Remaining time of a step that takes longer than expected, as a fraction of its expected time."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished analysis. voxels: of the scan, all echoes; 0 unknown. seconds: per step that ran."""

    voxels: int
    seconds: dict[str, float]


def expected_seconds(history: Sequence[Run], voxels: int) -> dict[str, float]:
    """Step -> seconds: the median of runs of similar size.

    With fewer than three of those, the median of all runs, scaled with the number of voxels (by at most a factor of 4).
    """
    similar = [run for run in history if _ratio(run, voxels) < SAME_SIZE]
    scaled = [(run, 1.0) for run in similar]
    if len(similar) < MIN_SIMILAR_RUNS:
        scaled = [(run, _scale(run, voxels)) for run in history]
    names = dict.fromkeys(name for run, _ in scaled for name in run.seconds)
    return {
        name: statistics.median(run.seconds[name] * scale for run, scale in scaled if name in run.seconds)
        for name in names
    }


def remaining_seconds(expected: dict[str, float], states: dict[str, str], elapsed: float, done: float) -> float:
    """Remaining seconds of a running analysis.

    states   step -> StepState
    elapsed  seconds since the start; done: seconds of the ended steps
    """
    left = sum(
        seconds for name, seconds in expected.items() if states.get(name, StepState.WAITING) == StepState.WAITING
    )
    for name, state in states.items():
        if state == StepState.RUNNING:
            whole = expected.get(name, 0.0)
            left += max(whole - max(0.0, elapsed - done), MIN_REMAINING_SHARE * whole)
    return left


def _ratio(run: Run, voxels: int) -> float:
    if not (run.voxels and voxels):
        return 1.0
    return max(run.voxels / voxels, voxels / run.voxels)


def _scale(run: Run, voxels: int) -> float:
    if not (run.voxels and voxels):
        return 1.0
    return min(MAX_SCALE, max(1 / MAX_SCALE, voxels / run.voxels))

"""Point-wise statistics of knees whose values are at the same numbered points.

Mean and standard deviation (n - 1) are accumulated knee by knee (B. P. Welford, Technometrics 1962;4:419-420), so that
memory does not grow with the number of knees. The t of a difference is Welch's, for groups of unequal variance, with
the degrees of freedom of Welch and Satterthwaite (B. L. Welch, Biometrika 1947;34:28-35). It is exploratory: nothing is
corrected for the number of points, and neighbouring points are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import FloatArray

LEAST_KNEES: Final = 3
"""With fewer knees at a point, differences and t are not given there, and pictures show nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupMap:
    """A group at m points. mean, sd: (m,), NaN where they are not defined; n: (m,) knees with a value; knees: added."""

    mean: FloatArray
    sd: FloatArray
    n: NDArray[np.int64]
    knees: int


@dataclass(frozen=True, kw_only=True, eq=False)
class DifferenceMap:
    """First group minus second group. difference, t, degrees_of_freedom: (m,), NaN with fewer than LEAST_KNEES."""

    difference: FloatArray
    t: FloatArray
    degrees_of_freedom: FloatArray


class Accumulator:
    """Of one group, at m points."""

    def __init__(self, points: int) -> None:
        self._n = np.zeros(points, dtype=np.int64)
        self._mean = np.zeros(points)
        self._squares = np.zeros(points)
        self._knees = 0

    def add(self, values: FloatArray) -> None:
        """Values (m,): of one knee; NaN: no value there. Raises ValueError for another number of points."""
        if values.shape != self._n.shape:
            raise ValueError(f"expected {len(self._n)} values, found {values.shape}")
        known = np.isfinite(values)
        self._knees += 1
        self._n += known
        step = np.where(known, values - self._mean, 0.0)
        self._mean += step / np.maximum(self._n, 1)
        self._squares += step * np.where(known, values - self._mean, 0.0)

    def result(self) -> GroupMap:
        """Of what was added so far."""
        mean = np.where(self._n > 0, self._mean, np.nan)
        sd = np.where(self._n > 1, np.sqrt(self._squares / np.maximum(self._n - 1, 1)), np.nan)
        return GroupMap(mean=mean, sd=sd, n=self._n.copy(), knees=self._knees)


def difference_of(first: GroupMap, second: GroupMap) -> DifferenceMap:
    """T is NaN where both groups have no variance."""
    enough = (first.n >= LEAST_KNEES) & (second.n >= LEAST_KNEES)
    numbers = [np.maximum(group.n, 2) for group in (first, second)]
    parts = [np.where(enough, group.sd**2 / n, np.nan) for group, n in zip((first, second), numbers, strict=True)]
    difference = np.where(enough, first.mean - second.mean, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = difference / np.sqrt(parts[0] + parts[1])
        below = sum(part**2 / (n - 1) for part, n in zip(parts, numbers, strict=True))
        degrees = (parts[0] + parts[1]) ** 2 / below
    defined = np.isfinite(t)
    return DifferenceMap(
        difference=difference,
        t=np.where(defined, t, np.nan),
        degrees_of_freedom=np.where(defined, degrees, np.nan),
    )

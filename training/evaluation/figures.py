"""Figures of a condition over its knees, and the bars that they are held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from training.evaluation.examine import Examined, Group


class Statistic(StrEnum):
    """Over the knees. WORST: the lowest Dice, otherwise the largest absolute value; RMS: root mean square."""

    MEAN = "mean"
    RMS = "rms"
    WORST = "worst"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One figure over `knees` knees; sd: None for a single knee."""

    mean: float
    sd: float | None
    rms: float
    worst: float
    worst_knee: str
    knees: int

    def of(self, statistic: Statistic) -> float:
        """The value of a statistic."""
        return {Statistic.MEAN: self.mean, Statistic.RMS: self.rms, Statistic.WORST: self.worst}[statistic]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What is required of a group of figures.

    names      the figures of the group; empty: all of them
    least, most: the lowest value, or the largest absolute value, that is accepted
    """

    group: Group
    statistic: Statistic = Statistic.MEAN
    names: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A bar and the figure that is furthest from it: its name, value and worst knee.

    met: also False if a knee failed or a named figure was not measured
    """

    bar: Bar
    name: str
    value: float
    worst: float
    worst_knee: str
    met: bool


Figures = dict[str, dict[str, Spread]]


def figures_of(knees: list[Examined]) -> Figures:
    """Group -> name -> spread over the knees that could be measured."""
    found: Figures = {}
    for group in Group:
        names = dict.fromkeys(name for one in knees for name in one.values.get(group, {}))
        found[group.value] = {
            name: _spread(
                group, [(one.knee, one.values[group][name]) for one in knees if name in one.values.get(group, {})]
            )
            for name in names
        }
    return found


def _spread(group: Group, rows: list[tuple[str, float]]) -> Spread:
    values = np.array([value for _, value in rows])
    worst = int(np.argmin(values)) if group is Group.DICE else int(np.argmax(np.abs(values)))
    return Spread(
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        rms=float(np.sqrt((values**2).mean())),
        worst=float(values[worst]),
        worst_knee=rows[worst][0],
        knees=len(rows),
    )


def outcome(bar: Bar, figures: Figures, failed: int) -> Outcome:
    """Hold the figures against a bar. failed: number of knees without figures.

    Raises ValueError if the group has no figure: a bar that is not measured is not met silently.
    """
    group = figures[bar.group.value]
    rows = {name: spread for name, spread in group.items() if not bar.names or name in bar.names}
    if not rows:
        raise ValueError(f"no figure of {bar.group} was measured; expected {', '.join(bar.names) or 'at least one'}")
    values = {name: spread.of(bar.statistic) for name, spread in rows.items()}
    if bar.least is not None:
        name = min(values, key=lambda key: values[key])
        met = values[name] >= bar.least
    else:
        name = max(values, key=lambda key: abs(values[key]))
        met = bar.most is not None and abs(values[name]) <= bar.most
    spread = rows[name]
    return Outcome(
        bar=bar,
        name=name,
        value=values[name],
        worst=spread.worst,
        worst_knee=spread.worst_knee,
        met=met and failed == 0 and all(name in rows for name in bar.names),
    )


def as_json(figures: Figures, digits: int = 4) -> dict[str, object]:
    """For JSON, rounded."""

    def rounded(spread: Spread) -> dict[str, object]:
        return {
            key: round(value, digits) if isinstance(value, float) else value for key, value in asdict(spread).items()
        }

    return {group: {name: rounded(one) for name, one in rows.items()} for group, rows in figures.items() if rows}

"""Orders the knees of a study by what looks wrong: flags, figures far from those of the others, what is missing, and
visits whose bones do not fit those of the other visits.

The distance of a figure is its robust z: from the median of the study, in standard deviations estimated by the median
absolute deviation. It is taken of the figure, and of its ratio to the same figures of the other places of the knee,
which leaves out the size and the general thickness of the knee; the larger of the two counts.

It finds what differs, not what is wrong: a severe case can come first, and a fault that all knees share comes last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import place_title
from pipeline.flags import FLAGS, FlagCode, Use
from pipeline.quantities import PRIMARY, QUANTITIES, TAB, THC, THC_TAB, VOLUME, Method

if TYPE_CHECKING:
    import pandas as pd

FIGURES: Final = (THC, THC_TAB, TAB, VOLUME)
LEAST_KNEES: Final = 8
"""With fewer knees that have a figure, there is no distribution."""

LARGEST: Final = 3
MOST_Z: Final = 20.0
"""The distance of a knee is the mean of its largest z, each at most this: one odd figure counts less than several."""

LEAST_SPREAD: Final = 0.03
"""Of the median: figures that hardly vary do not make small differences conspicuous."""

USUAL: Final = 0.8
MISSING_SCORE: Final = 6.0
"""For what a knee lacks and this share of the others have; many missing figures of one structure count once."""

FLAG_SCORES: Final[Mapping[Use, float]] = {Use.NO: 4.0, Use.CAUTION: 1.5, Use.YES: 0.0}
MOST_REASONS: Final = 4
MAD_TO_SD: Final = 1.4826
REGISTRATION: Final = ("registration", "", "")
"""Instead of quantity, structure and region."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A knee with the score of what looks wrong, and the reasons, the gravest first."""

    row: int
    score: float
    reasons: tuple[str, ...]


def ranked(
    measurements: pd.DataFrame,
    flags: Mapping[int, Sequence[str]],
    residuals: Mapping[int, float] = MappingProxyType({}),
) -> list[Ranked]:
    """The knees, the most conspicuous first.

    measurements  the tidy table of the study (studies/tables/measurements.py)
    flags         row -> codes of its quality flags, of every knee
    residuals     row -> residual (mm) of the registration of its bones to those of another visit
                  (studies/longitudinal.py), of knees with several visits
    """
    numbers = list(flags)
    wide = _wide(measurements, numbers)
    z = _distances(wide) if numbers else np.zeros((0, 0))
    shared = _shared_flags(flags)
    figures = [(str(name[0]), str(name[1]), str(name[2])) for name in wide.columns.to_list()]
    z = np.hstack([z, _residual_z([residuals.get(number, np.nan) for number in numbers])])
    figures.append(REGISTRATION)
    found = [
        _ranked(number, z[index], figures, [code for code in flags[number] if code not in shared])
        for index, number in enumerate(numbers)
    ]
    return sorted(found, key=lambda item: (-item.score, item.row))


def _wide(measurements: pd.DataFrame, numbers: Sequence[int]) -> pd.DataFrame:
    """One line for each knee, one column for each figure: (quantity, structure, region)."""
    mains = {quantity.id: str(quantity.main) for quantity in FIGURES}
    some = measurements[measurements["quantity"].isin(mains) & ~measurements["method"].isin(_other_methods())]
    some = some[some["statistic"].astype(str) == some["quantity"].astype(str).map(mains)]
    wide = some.pivot_table(
        index="row", columns=["quantity", "structure", "region"], values="value", aggfunc="first", observed=True
    )
    return wide.reindex(list(numbers))


def _other_methods() -> list[str]:
    return [method.value for method in Method if method not in (PRIMARY, Method.VOXEL_COUNT)]


def _distances(wide: pd.DataFrame) -> NDArray[np.float64]:
    """(knees, figures): the larger of the two distances of each figure."""
    values = wide.to_numpy(dtype=float, na_value=np.nan)
    own = _robust_z(values)
    quantities = np.array([str(column[0]) for column in wide.columns])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(values > 0, np.log(values), np.nan)
    logs -= _medians(logs, axis=0)
    for quantity in sorted(set(quantities)):
        columns = quantities == quantity
        logs[:, columns] -= _medians(logs[:, columns], axis=1)
    relative = _robust_z(logs, least=LEAST_SPREAD)
    return np.where(np.abs(np.nan_to_num(relative)) > np.abs(np.nan_to_num(own, posinf=np.inf)), relative, own)


def _residual_z(residuals: Sequence[float]) -> NDArray[np.float64]:
    """(knees, 1): only larger residuals than the median count, and knees with one visit lack nothing."""
    z = _robust_z(np.array(residuals, dtype=float).reshape(-1, 1))
    return np.where(np.isfinite(z), np.maximum(z, 0.0), np.nan)


def _medians(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Of what is known; 0 where nothing is."""
    known = np.isfinite(values).any(axis=axis, keepdims=True)
    return np.asarray(np.nanmedian(np.where(known, values, 0.0), axis=axis, keepdims=True))


def _robust_z(values: NDArray[np.float64], least: float = 0.0) -> NDArray[np.float64]:
    """(knees, figures): distance from the median in robust standard deviations; NaN where it is missing or not known.

    A figure that a knee lacks and that is usual is infinite. least: smallest spread, besides LEAST_SPREAD.
    """
    known = np.isfinite(values)
    number = known.sum(axis=0)
    z = np.full(values.shape, np.nan)
    usable = number >= LEAST_KNEES
    if usable.any():
        some = values[:, usable]
        median = np.nanmedian(some, axis=0)
        spread = np.maximum(MAD_TO_SD * np.nanmedian(np.abs(some - median), axis=0), LEAST_SPREAD * np.abs(median))
        spread = np.maximum(spread, least)
        with np.errstate(divide="ignore", invalid="ignore"):
            z[:, usable] = np.where(spread > 0, (some - median) / spread, np.nan)
        usual = number >= USUAL * len(values)
        z[~known & (usable & usual)] = np.inf
    return z


def _ranked(
    number: int, z: NDArray[np.float64], figures: Sequence[tuple[str, str, str]], codes: Sequence[str]
) -> Ranked:
    missing = sorted({figures[int(index)][1] for index in np.flatnonzero(np.isinf(z))})
    far = np.where(np.isfinite(z), z, 0.0)
    order = np.argsort(-np.abs(far), kind="stable")[:LARGEST]
    distance = float(np.minimum(np.abs(far[order]), MOST_Z).mean()) if len(order) else 0.0
    uses = [_gravest(code) for code in codes]
    score = distance + MISSING_SCORE * len(missing) + sum(FLAG_SCORES[use] for use in uses)
    reasons = [f"{structure.replace('_', ' ')} is missing" for structure in missing]
    reasons += list(codes)
    reasons += [_far(figures[int(index)], float(far[index])) for index in order if abs(far[index]) >= LARGEST]
    return Ranked(row=number, score=round(score, 3), reasons=tuple(reasons[:MOST_REASONS]))


def _gravest(code: str) -> Use:
    uses = {effect.use for effect in FLAGS[FlagCode(code)].effects} if code in tuple(FlagCode) else set()
    return Use.NO if Use.NO in uses else Use.CAUTION


def _far(figure: tuple[str, str, str], z: float) -> str:
    if figure == REGISTRATION:
        return f"registration to other visits: residual {z:.1f} SD above the median"
    quantity, structure, region = figure
    word = "above" if z > 0 else "below"
    return f"{QUANTITIES[quantity].short}, {place_title(structure, region)}: {abs(z):.1f} SD {word} the median"


def _shared_flags(flags: Mapping[int, Sequence[str]]) -> set[str]:
    """Codes that most knees have: they do not distinguish one."""
    if len(flags) < LEAST_KNEES:
        return set()
    codes = [code for listed in flags.values() for code in set(listed)]
    return {code for code in set(codes) if codes.count(code) > USUAL * len(flags)}

"""What several readers say about the knees of a study, and how far they agree.

Agreement beyond chance is Cohen's kappa without weights, with its standard error (J. Cohen, A coefficient of agreement
for nominal scales, Educational and Psychological Measurement 1960;20:37-46):

    kappa = (p_o - p_e) / (1 - p_e),   error = sqrt(p_o (1 - p_o) / (n (1 - p_e)^2))

p_o: share of the n knees on which two readers agree; p_e: the share that is expected by chance, the sum over the states
of the product of both readers' shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import sqrt
from typing import Final

from pipeline.review_state import ReviewState

DISAGREEMENT: Final = "disagreement"
"""Instead of a state, where readers differ."""

STATES: Final = tuple(state.value for state in ReviewState)
COMBINATIONS: Final = tuple(product(STATES, STATES))


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The newest judgement of a reader on one version of the outlines of a row. reader: initials; empty: not given."""

    row: int
    reader: str
    version: int
    state: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of two readers on the knees that both have judged, each in the newest version that both have.

    knees            their number; agreed: of them, those with the same judgement
    share, expected  of knees with the same judgement: found, and expected by chance
    kappa, error     Cohen's kappa and its standard error; None where every judgement is the same, so that it is not
                     defined
    counts           (state of the first, state of the second) -> number of knees
    """

    first: str
    second: str
    knees: int
    agreed: int
    share: float
    expected: float
    kappa: float | None
    error: float | None
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)


def valid(judgements: Iterable[Judgement], versions: Mapping[int, int]) -> list[Judgement]:
    """Those on the present version of each row, in the order of rows and readers. versions: row -> its version."""
    found = [item for item in judgements if versions.get(item.row) == item.version]
    return sorted(found, key=lambda item: (item.row, item.reader))


def common_state(judgements: Sequence[Judgement]) -> str:
    """The state on which all readers of a knee agree, else DISAGREEMENT; empty without a judgement."""
    states = {item.state for item in judgements}
    return DISAGREEMENT if len(states) > 1 else next(iter(states), "")


def by_row(judgements: Iterable[Judgement]) -> dict[int, list[Judgement]]:
    """Row -> its judgements."""
    found: dict[int, list[Judgement]] = {}
    for item in judgements:
        found.setdefault(item.row, []).append(item)
    return found


def agreements(judgements: Iterable[Judgement]) -> list[Agreement]:
    """Of every two readers who have judged the same knee, in the order of their initials."""
    pairs: dict[tuple[str, str], dict[int, tuple[int, str, str]]] = {}
    versions: dict[tuple[int, int], list[Judgement]] = {}
    for item in judgements:
        versions.setdefault((item.row, item.version), []).append(item)
    for (row, version), items in sorted(versions.items()):  # a later version replaces an earlier one
        for first, second in combinations(sorted(items, key=lambda item: item.reader), 2):
            pairs.setdefault((first.reader, second.reader), {})[row] = version, first.state, second.state
    return [_agreement(*readers, found) for readers, found in sorted(pairs.items())]


def _agreement(first: str, second: str, found: Mapping[int, tuple[int, str, str]]) -> Agreement:
    counts = Counter((a, b) for _, a, b in found.values())
    number = len(found)
    agreed = sum(count for (a, b), count in counts.items() if a == b)
    share = agreed / number
    shares = [Counter(states) for states in zip(*((a, b) for _, a, b in found.values()), strict=True)]
    expected = sum(shares[0][state] * shares[1][state] for state in shares[0]) / number**2
    defined = expected < 1
    return Agreement(
        first=first,
        second=second,
        knees=number,
        agreed=agreed,
        share=share,
        expected=expected,
        kappa=(share - expected) / (1 - expected) if defined else None,
        error=sqrt(share * (1 - share) / number) / (1 - expected) if defined else None,
        counts=dict(counts),
    )

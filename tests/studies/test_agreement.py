"""Agreement of readers: known figures, and which judgements count."""

from __future__ import annotations

import numpy as np
import pytest

from studies.agreement import DISAGREEMENT, Judgement, agreements, by_row, common_state, valid


def said(row: int, reader: str, state: str, version: int = 1) -> Judgement:
    return Judgement(row=row, reader=reader, version=version, state=state)


def test_kappa_and_its_error_are_those_of_cohen() -> None:
    table = {("accepted", "accepted"): 20, ("accepted", "rejected"): 5, ("rejected", "accepted"): 10}
    table[("rejected", "rejected")] = 15
    found = []
    for row, (first, second) in enumerate(pair for pair, number in table.items() for _ in range(number)):
        found += [said(row, "AB", first), said(row, "CD", second)]
    (pair,) = agreements(found)
    assert (pair.knees, pair.agreed, pair.share) == (50, 35, 0.7)
    assert pair.expected == pytest.approx(0.5)
    assert pair.kappa == pytest.approx(0.4)
    assert pair.error == pytest.approx(np.sqrt(0.7 * 0.3 / 50) / 0.5)
    assert dict(pair.counts) == table


def test_kappa_is_not_defined_where_every_judgement_is_the_same() -> None:
    (pair,) = agreements([said(row, reader, "accepted") for row in range(3) for reader in ("AB", "CD")])
    assert (pair.share, pair.kappa, pair.error) == (1.0, None, None)


def test_each_knee_counts_once_in_the_newest_version_that_both_readers_have_judged() -> None:
    found = [said(1, "AB", "rejected"), said(1, "CD", "accepted"), said(2, "AB", "accepted")]
    found += [said(1, "AB", "accepted", 2), said(1, "CD", "accepted", 2), said(1, "AB", "rejected", 3)]
    (pair,) = agreements(found)
    assert (pair.knees, pair.agreed) == (1, 1)


def test_three_readers_are_three_pairs() -> None:
    found = agreements([said(1, reader, "accepted") for reader in ("EF", "AB", "CD")])
    assert [(pair.first, pair.second) for pair in found] == [("AB", "CD"), ("AB", "EF"), ("CD", "EF")]


def test_only_judgements_on_the_present_version_of_a_row_hold() -> None:
    found = [said(1, "AB", "accepted"), said(1, "CD", "rejected", 2), said(2, "AB", "accepted"), said(3, "AB", "x")]
    assert valid(found, {1: 2, 2: 1}) == [found[1], found[2]]
    rows = by_row(found)
    assert [common_state(rows.get(row, [])) for row in (1, 2, 4)] == [DISAGREEMENT, "accepted", ""]

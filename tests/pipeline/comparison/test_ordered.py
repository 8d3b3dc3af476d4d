"""Ordered values and scores of made-up changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.comparison.changes import LARGER, WITHIN, Change
from pipeline.comparison.ordered import ORDERED, ordered_changes, scores_in_words

NAMES = (
    "cMT",
    "eMT",
    "iMT",
    "aMT",
    "pMT",
    "cLT",
    "eLT",
    "iLT",
    "aLT",
    "pLT",
    "ccMF",
    "ecMF",
    "icMF",
    "ccLF",
    "ecLF",
    "icLF",
)


def rows(changes_mm: list[float | None], sdc: float | None = 0.1) -> list[Change]:
    """One row of ThCtAB for each of the 16 subregions, and one of another quantity, which is no part of it."""
    found = [
        Change(
            quantity="ThCtAB",
            structure=region.plate.value,
            region=region.name,
            a=2.0,
            b=None if change is None else 2.0 + change,
            change=change,
            change_percent=None,
            sdc=sdc,
            verdict="not known" if sdc is None or change is None else LARGER if abs(change) > sdc else WITHIN,
            registration_rms_mm=None,
            unit="mm",
        )
        for region, change in zip(ORDERED, changes_mm, strict=True)
    ]
    return [*found, replace(found[0], quantity="ThC", change=-9.0)]


def changes(seed: int) -> list[float | None]:
    return [float(value) for value in np.random.default_rng(seed).normal(-0.02, 0.12, len(ORDERED))]


def test_the_16_femorotibial_subregions_are_ordered() -> None:
    assert {region.name for region in ORDERED} == set(NAMES)
    assert len(ORDERED) == 16


def test_ranks_run_from_the_most_negative_to_the_most_positive_change() -> None:
    given = [0.05, -0.2, 0.0, 0.11, -0.05, -0.3, 0.02, 0.01, -0.01, 0.03, -0.02, 0.04, -0.04, 0.2, -0.15, -0.09]
    found = ordered_changes(rows(list(given)))
    assert [value.rank for value in found.values] == list(range(1, 17))
    assert [value.change_um for value in found.values] == pytest.approx(sorted(1000 * value for value in given))
    assert (found.values[0].subregion, found.values[15].subregion) == (ORDERED[5].name, ORDERED[13].name)
    assert found.thinning_um == pytest.approx(-860)
    assert found.thickening_um == pytest.approx(460)
    assert (found.thinner, found.thicker) == (3, 2), "beyond 0.1 mm"


@pytest.mark.parametrize("seed", range(20))
def test_the_sum_of_the_ordered_values_is_that_of_both_scores(seed: int) -> None:
    found = ordered_changes(rows(changes(seed)))
    assert sum(value.change_um for value in found.values) == pytest.approx(found.thinning_um + found.thickening_um)
    assert found.thinning_um <= 0 <= found.thickening_um


def test_without_a_measurement_error_no_change_is_counted_as_sure() -> None:
    found = ordered_changes(rows(changes(1), sdc=None))
    assert (found.thinner, found.thicker) == (None, None)
    assert len(found.values) == 16


def test_a_missing_subregion_leaves_no_ranks() -> None:
    found = ordered_changes(rows([None, *changes(2)[1:]]))
    assert (found.values, found.thinning_um) == ((), None)
    assert found.why_none == f"No change is known of {ORDERED[0].name}."
    assert ordered_changes([]).why_none.startswith("No change is known of cMT, ")
    assert scores_in_words(found) == f"Ordered changes: none. {found.why_none}"


def test_a_number_that_must_not_be_used_leaves_no_ranks() -> None:
    given = rows(changes(3))
    given[4] = replace(given[4], use="no", flag="CARTILAGE_NOT_USABLE")
    assert ordered_changes(given).why_none == f"The change of {ORDERED[4].name} must not be used."

"""Published values beside a measurement."""

from __future__ import annotations

import pytest

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import PLACES
from pipeline.quantities import QUANTITIES
from pipeline.reference_values import reference_groups

GROUPS = {group.id: group for group in reference_groups()}
MT = "ThCtAB", "tibial_cartilage", "medial"


def test_every_reference_is_of_a_quantity_and_a_place_of_the_tables() -> None:
    for group in GROUPS.values():
        for quantity, structure, region in group.values:
            assert quantity in QUANTITIES
            assert (structure, region) in PLACES
        assert group.people >= 10, "a group, and nothing of a single person"
        assert group.source
        assert group.caution


def test_values_and_bands_are_those_of_the_source() -> None:
    known = GROUPS["oai_poma_men"].of(*MT)
    assert (known.mean, known.sd) == (1.88, 0.32)
    assert known.band == pytest.approx((1.2528, 2.5072))
    assert GROUPS["oai_poma_women"].of("ThCtAB", "femorotibial_cartilage", "cLFTC").mean == 4.62
    assert GROUPS["oai_poma_women"].of("tAB", "tibial_cartilage", "lateral").sd == 100
    assert GROUPS["oai_poma_men"].of("T2", "tibial_cartilage", "medial") is None
    assert GROUPS["framingham"].of(*MT).band is None, "no standard deviation is known"


def test_sums_are_those_of_their_terms() -> None:
    for name in ("oai_poma_men", "oai_poma_women", "framingham"):
        mean = {region: known.mean for (_, _, region), known in GROUPS[name].values.items() if known.mean < 10}
        assert mean["MFTC"] == pytest.approx(mean["medial"] + mean["cMF"], abs=0.011)
        assert mean["LFTC"] == pytest.approx(mean["lateral"] + mean["cLF"], abs=0.011)


def test_a_z_score_needs_the_same_sequence_and_a_standard_deviation() -> None:
    men = GROUPS["oai_poma_men"]
    assert men.z_score(1.56, *MT, PulseSequence.DESS) == pytest.approx(-1.0)
    for other in (PulseSequence.QDESS, PulseSequence.SPIN_ECHO, PulseSequence.UNKNOWN):
        assert men.z_score(1.56, *MT, other) is None
    assert GROUPS["framingham"].z_score(1.56, *MT, PulseSequence.GRADIENT_ECHO) is None
    assert men.z_score(1.56, "ThCtAB", "patellar_cartilage", "all", PulseSequence.DESS) is None


def test_the_description_says_who_and_that_readers_differ() -> None:
    text = GROUPS["oai_poma_men"].described
    for words in ("18 people", "sagittal DESS", "not a healthy cohort", "differ by a tenth"):
        assert words in text

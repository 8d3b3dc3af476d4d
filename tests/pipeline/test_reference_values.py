"""Published values beside a measurement."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import PLACES
from pipeline.grid import Grid
from pipeline.options import AnalysisOptions
from pipeline.quantities import QUANTITIES
from pipeline.reference_values import Conditions, reference_groups

GROUPS = {group.id: group for group in reference_groups()}
MT = "ThCtAB", "tibial_cartilage", "medial"
CMF = "ThCtAB", "femoral_cartilage", "cMF"
MFTC = "ThCtAB", "femorotibial_cartilage", "MFTC"
ALIKE = Conditions(sequence=PulseSequence.DESS, plane="sagittal", weight_bearing="75")
"""As the groups of the OAI were scanned and divided."""


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


def test_a_z_score_needs_the_same_sequence_and_plane() -> None:
    men = GROUPS["oai_poma_men"]
    assert men.z_score(1.56, *MT, ALIKE) == pytest.approx(-1.0)
    assert men.no_z_score(*MT, ALIKE) == ""
    for other in (PulseSequence.QDESS, PulseSequence.SPIN_ECHO, PulseSequence.UNKNOWN):
        assert men.z_score(1.56, *MT, replace(ALIKE, sequence=other)) is None
    assert men.z_score(1.56, *MT, replace(ALIKE, plane="coronal")) is None
    assert "coronal DESS" in men.no_z_score(*MT, replace(ALIKE, plane="coronal"))
    assert GROUPS["framingham"].z_score(1.56, *MT, replace(ALIKE, plane="coronal")) is None


def test_a_z_score_needs_a_standard_deviation_and_the_same_definition() -> None:
    men = GROUPS["oai_poma_men"]
    assert men.z_score(1300, "tAB", "tibial_cartilage", "medial", ALIKE) is None, "bone at the rim is not counted here"
    assert men.z_score(1.56, "ThCtAB", "patellar_cartilage", "all", ALIKE) is None
    assert "no standard deviation" in GROUPS["framingham"].no_z_score(*MT, ALIKE)


def test_the_weight_bearing_femur_has_a_z_score_only_with_the_end_that_the_group_has() -> None:
    men, ours = GROUPS["oai_poma_men"], replace(ALIKE, weight_bearing="60")
    assert men.z_score(2.05, *CMF, ALIKE) == pytest.approx(0.0)
    for place in (CMF, MFTC):
        assert men.z_score(2.05, *place, ours) is None
        assert "60 % here and at 75 %" in men.no_z_score(*place, ours)
    assert men.z_score(1.88, *MT, ours) == pytest.approx(0.0), "the tibia is not concerned"


def test_conditions_are_those_of_the_results_document() -> None:
    sagittal = np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])
    grid = Grid(shape=(160, 384, 384), spacing_mm=(0.7, 0.36, 0.36), origin_mm=np.zeros(3), direction=sagittal)
    document = {"scan": {"sequence": "dess", "grid": grid.to_dict()}, "options": AnalysisOptions().to_dict()}
    assert Conditions.of(document) == replace(ALIKE, weight_bearing="60")
    assert Conditions.of(document | {"scan": None}).sequence is PulseSequence.UNKNOWN


def test_the_description_says_who_and_that_readers_differ() -> None:
    text = GROUPS["oai_poma_men"].described
    for words in ("18 people", "sagittal DESS", "not a healthy cohort", "differ by a tenth"):
        assert words in text


def test_groups_as_plain_values_have_the_names_of_the_tables() -> None:
    group = json.loads(json.dumps(GROUPS["oai_poma_women"].to_dict()))
    row = group["values"][0]
    assert (row["quantity"], row["structure"], row["region"], row["unit"]) == (*MT, "mm")
    assert row["band"] == pytest.approx([1.45 - 1.96 * 0.19, 1.45 + 1.96 * 0.19])

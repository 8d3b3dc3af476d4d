"""The figures beside the weights: summary over cases, what pages show of it, and for which weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.anatomy import ALL, Plate, Structure
from pipeline.errors import InputError
from pipeline.quantities import DAB, THC
from pipeline.segmentation.identity import WEIGHTS
from pipeline.types import Resources
from pipeline.validation.case import Outcomes
from pipeline.validation.record import validation_path, validations_of, write_validation
from pipeline.validation.run import require_usable
from pipeline.validation.summary import mixed_up, place_figures, structure_figures, worst_first
from pipeline.validation.words import main_figures
from tests.support.validations import CASES, FEMORAL, MODEL, PATELLAR, case, outlines, validation


def test_figures_are_those_of_the_cases() -> None:
    found = validation()
    assert found.structures[FEMORAL].dice == pytest.approx(0.85)
    assert found.structures[FEMORAL].dice_worst == 0.8
    place = found.place(THC, Plate.FEMORAL, ALL)
    assert (place.n, place.bias) == (3, pytest.approx(0.1))
    assert place.rmse == pytest.approx(math.sqrt((0.01 + 0.0 + 0.04) / 3))


def test_what_a_set_lacks_is_reported_and_has_no_figure() -> None:
    found = validation()
    assert PATELLAR in found.not_in_set
    assert PATELLAR not in found.structures
    assert found.place(DAB, Plate.FEMORAL, ALL) is None


def test_a_structure_that_the_model_did_not_find_counts_in_dice_and_not_in_distances() -> None:
    missed = case(0.0, 2.0, math.nan, agreement={FEMORAL: outlines(0.0, math.inf)})
    figures = structure_figures([CASES["a"], missed])[FEMORAL]
    assert (figures.n, figures.missed, figures.dice) == (2, 1, pytest.approx(0.45))
    assert figures.assd_mm == pytest.approx(0.3)
    place = place_figures([CASES["a"], missed])[0]
    assert (place.n, place.missed, place.bias) == (1, 1, pytest.approx(0.1))


def test_the_worst_case_is_first() -> None:
    assert [name for name, _ in worst_first(CASES)] == ["b", "c", "a"]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    write_validation(validation(), validation_path(tmp_path, MODEL.id, "our_knees"))
    assert validations_of(MODEL.id, Resources(models_dir=tmp_path)) == (validation(),)


def test_undefined_figures_are_null_in_the_file_and_nan_when_read(tmp_path: Path) -> None:
    two = list(CASES.values())[:2]
    path = validation_path(tmp_path, MODEL.id, "few")
    write_validation(validation(places=place_figures(two)), path)
    assert json.loads(path.read_text())["places"][0]["icc"] is None
    assert math.isnan(validations_of(MODEL.id, Resources(models_dir=tmp_path))[0].places[0].icc)


def test_the_file_names_no_case(tmp_path: Path) -> None:
    path = validation_path(tmp_path, MODEL.id, "our_knees")
    results = {"Smith_1950": CASES["a"]}
    write_validation(validation(structures=structure_figures(list(results.values()))), path)
    assert "Smith" not in path.read_text()


def test_figures_hold_for_the_same_files_only() -> None:
    found = validation()
    assert found.holds_for(MODEL)
    assert not found.holds_for(replace(MODEL, digests={WEIGHTS: "b" * 64}))
    assert not found.holds_for(replace(MODEL, method="mirrored"))


def test_figures_of_an_earlier_version_of_a_step_do_not_hold_for_an_analysis() -> None:
    assert validation().holds_for(MODEL, {"segment": 4, "report": 9})
    assert not validation().holds_for(MODEL, {"segment": 5})


def test_a_damaged_file_is_left_out(tmp_path: Path) -> None:
    path = validation_path(tmp_path, MODEL.id, "our_knees")
    path.parent.mkdir(parents=True)
    path.write_text('{"form": 1, "set_name": 3}')
    assert validations_of(MODEL.id, Resources(models_dir=tmp_path)) == ()


def test_the_sentence_has_dice_bias_and_limits() -> None:
    words = main_figures(validation())
    assert words.startswith("On the 3 scans of our_knees: Dice of femoral cartilage 0.85;")
    assert "femur +0.10 mm (−0.10 to +0.30)" in words


def test_exchanged_structures_are_refused_with_their_names() -> None:
    medial, lateral = Structure.MEDIAL_TIBIAL_CARTILAGE.key, Structure.LATERAL_TIBIAL_CARTILAGE.key
    wrong = case(0.9, 2.0, 2.0, expert=(medial, lateral), mixed_up={medial: lateral, lateral: medial})
    assert mixed_up([wrong, wrong, CASES["a"]]) == {lateral: (medial, 2), medial: (lateral, 2)}
    with pytest.raises(InputError, match="medial tibial cartilage is the model's lateral tibial cartilage in 2 cases"):
        require_usable(Outcomes(results={"1": wrong, "2": wrong}))


def test_one_confused_case_of_three_is_no_wrong_numbering() -> None:
    wrong = case(0.9, 2.0, 2.0, mixed_up={FEMORAL: PATELLAR})
    assert mixed_up([wrong, CASES["a"], CASES["b"]]) == {}

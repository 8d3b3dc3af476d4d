"""Published values beside the values of a knee."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.acquisition import PulseSequence
from pipeline.reference_values import Conditions, reference_groups
from ui.analysis.reference_values import reference_bands, reference_frame, why_without_z

MEN, WOMEN, BOTH = reference_groups()
SAGITTAL_DESS = Conditions(sequence=PulseSequence.DESS, plane="sagittal", weight_bearing="60")


def row(quantity: str, structure: str, region: str, value: float, use: str = "yes") -> dict[str, Any]:
    return {
        "quantity": quantity,
        "method": "union",
        "structure": structure,
        "region": region,
        "statistic": "total" if quantity == "tAB" else "mean",
        "value": value,
        "use": use,
    }


ROWS = [
    row("ThCtAB", "femoral_cartilage", "cMF", 2.05),
    row("ThCtAB", "tibial_cartilage", "cMT", 2.08),
    row("ThCtAB", "tibial_cartilage", "medial", 1.56),
    row("ThCtAB", "patellar_cartilage", "all", 2.5),
    row("tAB", "tibial_cartilage", "medial", 1300.0),
]


def test_a_line_for_each_place_of_which_both_have_a_value() -> None:
    frame = reference_frame(ROWS, MEN, SAGITTAL_DESS)
    assert list(frame["Region"]) == ["Tibia, medial", "cMF", "cMT", "Tibia, medial"]
    assert list(frame["Measure"]) == [*["ThCtAB (mm)"] * 3, "tAB (mm²)"]
    assert list(frame["Mean ± SD"]) == ["1.88 ± 0.32", "2.05 ± 0.37", "2.54 ± 0.46", "1260 ± 160"]
    assert frame["95 % of the group"][0] == "1.25 to 2.51"


def test_z_scores_are_left_out_where_definitions_differ_and_the_reason_is_stated() -> None:
    assert list(reference_frame(ROWS, MEN, SAGITTAL_DESS)["Z"]) == ["-1.0", "", "-1.0", ""]
    text = why_without_z(ROWS, MEN, SAGITTAL_DESS)
    assert "No Z-score of cMF: the weight-bearing femur ends at 60 % here and at 75 % in the group." in text
    assert "tAB is not defined in the same way" in text


def test_a_number_that_must_not_be_used_has_no_z_score() -> None:
    banned = [row("ThCtAB", "tibial_cartilage", "medial", 1.56, use="no")]
    frame = reference_frame(banned, MEN, SAGITTAL_DESS)
    assert "Z" not in frame
    assert list(frame["Use"]) == ["no"]


def test_a_scan_of_an_unknown_sequence_has_bands_and_no_z_score() -> None:
    unknown = Conditions(sequence=PulseSequence.UNKNOWN, plane="sagittal", weight_bearing="75")
    frame = reference_frame(ROWS[:3], WOMEN, unknown)
    assert "Z" not in frame
    assert len(frame) == 3
    assert why_without_z(ROWS[:3], WOMEN, unknown) == "No Z-score: the sequence of this scan is not known."


def test_a_group_without_standard_deviations_has_means_and_no_bands() -> None:
    frame = reference_frame(ROWS, BOTH, SAGITTAL_DESS)
    assert list(frame.columns) == ["Region", "Measure", "Use", "This knee", "Mean"]
    assert reference_bands(ROWS, BOTH) is None


def test_the_chart_shows_the_knee_on_the_band_of_the_group() -> None:
    figure = reference_bands(ROWS, MEN)
    assert figure is not None
    band, mean, knee = figure.data
    assert list(band.y) == ["cMT", "cMF", "Tibia, medial"], "drawn from below"
    assert band.base[2] == pytest.approx(1.2528)
    assert band.base[2] + band.x[2] == pytest.approx(2.5072)
    assert (mean.x[2], knee.x[2]) == (1.88, 1.56)


def _page() -> None:
    from tests.ui.test_reference_values import ROWS
    from ui.analysis.reference_values import show_reference_values

    show_reference_values(ROWS, {})


def test_nothing_is_shown_before_a_sex_is_chosen() -> None:
    page = AppTest.from_function(_page, default_timeout=60).run()
    assert not page.exception
    assert not page.dataframe
    page.button_group[0].select("Women").run()
    assert not page.exception
    assert len(page.dataframe) == 2
    assert "1.45 ± 0.19" in set(page.dataframe[0].value["Mean ± SD"])
    page.button_group[0].select("None").run()
    assert not page.dataframe

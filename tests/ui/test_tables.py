"""Tidy rows as the tables of the pages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from pipeline.anatomy import REGION_SCHEME, SUBREGION_SCHEME, SUMS, TABLE_ORDER
from pipeline.quantities import THC, THC_MATCHED, VOLUME
from pipeline.relaxation import T1RHO_RELAXATION, T2_RELAXATION
from pipeline.segmentation.limits import ConfidenceFlag, SliceFigures, ThickSlices
from ui.methods import model_limits
from ui.parts import charts, tables


def row(
    quantity: str, method: str, structure: str, region: str, statistic: str, value: float | None, unit: str = "mm"
) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "method": method,
        "structure": structure,
        "region": region,
        "statistic": statistic,
        "value": value,
        "unit": unit,
        "n": 10,
        "flag": "",
        "use": "yes",
    }


ROWS = [
    row("ThC", "two_crossing", "femoral_cartilage", "all", "mean", 9.0),
    row("ThC", "union", "femoral_cartilage", "all", "mean", 2.25),
    row("ThC", "union", "femoral_cartilage", "all", "std", 0.5),
    row("dAB", "union", "femoral_cartilage", "all", "share", 3.5, "%"),
    row("ThC", "union", "tibial_cartilage", "lateral", "mean", 1.75),
    row("ThC", "union", "tibial_cartilage", "medial", "mean", None),
    row("dAB", "union", "tibial_cartilage", "medial", "share", 100.0, "%"),
    row("T2", "multi_echo", "femoral_cartilage", "all", "mean", 41.0, "ms"),
    row("T2", "multi_echo", "femoral_cartilage", "all", "std", 6.0, "ms"),
    row("T2", "multi_echo", "femoral_cartilage", "all", "median", 39.0, "ms"),
    row("T2_superficial", "multi_echo", "femoral_cartilage", "all", "median", 44.0, "ms"),
]


def test_headlines_use_the_primary_method_and_name_missing_values() -> None:
    assert [(title, value) for title, _, value in tables.headlines(ROWS, THC)] == [
        ("Femur", 2.25),
        ("Medial tibia", None),
        ("Lateral tibia", 1.75),
        ("Patella", None),
    ]


def test_a_region_table_keeps_denuded_and_drops_unmeasured_regions() -> None:
    frame = tables.thickness_by_region(ROWS)
    assert list(frame["Region"]) == ["Femur, whole plate", "Tibia, medial", "Tibia, lateral"]
    femur, medial, lateral = frame.to_dict("records")
    assert (femur["Mean"], femur["SD"], femur["Denuded"]) == (2.25, 0.5, 3.5)
    assert math.isnan(medial["Mean"])
    assert medial["Denuded"] == 100.0
    assert lateral["Mean"] == 1.75


def test_a_value_that_is_not_a_number_counts_as_not_measured() -> None:
    rows = [row("ThC", "union", "patellar_cartilage", "all", "mean", math.nan)]
    assert tables.headlines(rows, THC)[3][2] is None
    assert tables.thickness_by_region(rows).empty


def test_t2_has_one_row_per_region_with_its_layers() -> None:
    (line,) = tables.relaxation_by_region(ROWS, T2_RELAXATION).to_dict("records")
    assert line["Region"] == "Femur, whole plate"
    assert (line["Median"], line["SD"], line["Superficial"]) == (39.0, 6.0, 44.0)
    assert line["Deep"] is None
    assert tables.relaxation_by_region(ROWS[:5], T2_RELAXATION).empty
    assert tables.relaxation_by_region(ROWS, T1RHO_RELAXATION).empty


def test_the_tidy_table_has_the_columns_and_the_order_of_the_csv() -> None:
    frame = tables.tidy(ROWS)
    assert list(frame.columns) == [
        "quantity",
        "method",
        "structure",
        "region",
        "statistic",
        "value",
        "unit",
        "n",
        "flag",
        "use",
        "oai_variable",
    ]
    assert len(frame) == len(ROWS)
    assert frame["value"][1] == 2.25


def test_missing_figures_leave_no_empty_column_in_the_accuracy_table() -> None:
    frame = tables.accuracy({"femoral_cartilage": {"dice": 0.8, "dice_worst": None}, "femur": {"dice": 0.97}})
    assert list(frame.columns) == ["Structure", "Dice"]
    assert list(frame["Structure"]) == ["Femoral cartilage", "Femur"]


def changed(region: str, change: float | None, sdc: float | None) -> dict[str, Any]:
    return {
        "quantity": "ThC_matched",
        "structure": "femoral_cartilage",
        "region": region,
        "a": 2.0,
        "b": None if change is None else 2.0 + change,
        "change": change,
        "change_percent": None if change is None else 50 * change,
        "sdc": sdc,
        "verdict": "not known",
        "registration_error": 0.01,
        "compared_percent": 95.0,
        "flag": "",
        "use": "yes",
    }


CHANGES = [
    changed("anterior", -0.3, 0.1),
    changed("medial_posterior", None, None),
    changed("all", 0.2, None),
]


def test_changes_come_with_the_whole_plate_first_and_only_of_one_quantity() -> None:
    frame = tables.changes([*CHANGES, changed("all", 9.0, None) | {"quantity": "ThC"}], THC_MATCHED)
    assert list(frame["Region"]) == ["Femur, whole plate", "Femur, anterior", "Femur, medial posterior"]
    assert list(frame["Change"][:2]) == [0.2, -0.3]
    assert tables.changes(CHANGES, VOLUME).empty


def test_the_chart_of_changes_has_a_band_where_the_smallest_detectable_change_is_known() -> None:
    from ui.compare.change_charts import GAIN, LOSS, change_bars

    figure = change_bars(tables.changes(CHANGES, THC_MATCHED), "mm", "Change")
    assert figure is not None
    band, bars = figure.data
    assert (list(band.y), list(band.x), list(band.base)) == (["Femur, anterior"], [0.2], [-0.1])
    assert (list(bars.y), list(bars.marker.color)) == (["Femur, anterior", "Femur, whole plate"], [LOSS, GAIN])
    assert list(figure.layout.yaxis.categoryarray) == list(bars.y)
    assert change_bars(tables.changes(CHANGES[1:2], THC_MATCHED), "mm", "Change") is None


def test_numbers_that_must_not_be_used_are_marked_in_tables_and_hatched_in_charts() -> None:
    rows = [line | {"use": "no"} if line["quantity"] in ("ThC", "T2_superficial") else line for line in ROWS]
    frame = tables.thickness_by_region(rows)
    out = tables.excluded(rows, frame, tables.THICKNESS_COLUMNS)
    assert list(frame["Use"]) == ["no", "no", "no"]
    assert (out["Mean"].all(), out["SD"].all(), out["Denuded"].any(), out["Region"].any()) == (True, True, False, False)
    assert not tables.excluded(ROWS, tables.thickness_by_region(ROWS), tables.THICKNESS_COLUMNS).to_numpy().any()
    bars = charts.thickness_bars(rows)
    assert bars is not None
    assert set(bars.data[0].marker.pattern.shape) == {"/"}
    assert set(bars.data[0].marker.color) == {charts.EXCLUDED}
    layers = charts.relaxation_bars(rows, T2_RELAXATION)
    assert layers is not None
    assert [list(layer.marker.pattern.shape) for layer in layers.data] == [["\\"], [""]]
    other = row("T2_superficial", "multi_echo", "patellar_cartilage", "all", "median", 40.0, "ms")
    assert list(tables.relaxation_by_region([*rows, other], T2_RELAXATION)["Use"]) == ["yes; no: Superficial"]
    assert list(tables.relaxation_by_region(rows, T2_RELAXATION)["Use"]) == ["yes"], "the head of the column says it"


def test_a_change_that_must_not_be_used_is_hatched() -> None:
    from ui.compare.change_charts import change_bars

    frame = tables.changes([line | {"use": "no"} for line in CHANGES], THC_MATCHED)
    assert tables.excluded_lines(frame).to_numpy().all()
    figure = change_bars(frame, "mm", "Change")
    assert figure is not None
    assert set(figure.data[1].marker.pattern.shape) == {"/"}


def test_confidence_has_one_row_per_structure_and_no_empty_column() -> None:
    probability = {"femur": 0.97, "medial_tibial_cartilage": 0.8}
    frame = tables.confidence(probability, {"femur": 0.6})
    assert list(frame["Structure"]) == ["Femur", "Tibial cartilage"]
    assert list(frame["Probability"]) == [0.97, 0.8]
    assert frame["Entropy"][0] == 0.6
    assert list(tables.confidence(probability, {}).columns) == ["Structure", "Probability"]
    assert tables.confidence({}, {}).empty


def test_repeatability_has_one_row_per_region_with_the_plate_first() -> None:
    row = {"cv_percent": 1.2, "sdc_mm": 0.05, "mean_mm": 2.0}
    frame = tables.repeatability({"femoral_cartilage/anterior": row, "femoral_cartilage/all": row | {"sdc_mm": 0.03}})
    assert list(frame["Region"]) == ["Femur, whole plate", "Femur, anterior"]
    assert list(frame["SDC"]) == [0.03, 0.05]


def test_repeatability_of_subregions_and_sums_has_its_own_table() -> None:
    row = {"cv_percent": 1.2, "sdc_mm": 0.05, "mean_mm": 2.0}
    regions = {place.key: row for place in (*SUBREGION_SCHEME.shown, *REGION_SCHEME.shown)}
    finer = tables.repeatability(regions, SUBREGION_SCHEME)
    assert list(finer["Region"]) == [place.short for place in SUBREGION_SCHEME.shown]
    assert {place.short for place in SUMS} <= set(finer["Region"])
    assert tables.repeatability({TABLE_ORDER[0].key: row}, SUBREGION_SCHEME).empty


def test_every_published_figure_names_its_source() -> None:
    frame = tables.published_repeatability()
    assert frame["Source"].str.match(r"PMC\d+|PMID \d+|doi:10\.").all()
    assert frame["Found"].str.match(r"(CV|SDC) .*(%|mm)$").all()


def test_thickness_errors_have_one_row_per_measured_region() -> None:
    row = {"bias_mm": -0.09, "rmse_mm": 0.15, "knees": 9}
    frame = tables.thickness_errors({"tibial_cartilage/medial": row, "tibial_cartilage/all": row | {"bias_mm": 0.02}})
    assert len(frame) == 2
    assert list(frame["Bias (mm)"]) == [0.02, -0.09]
    assert tables.thickness_errors({}).empty


def test_a_card_states_its_limits_only_if_measured() -> None:
    row = SliceFigures(slice_mm=4.2, knees=3, bone_dice=0.95, cartilage_dice=0.6, thickness_rmse_mm=0.5)
    thick = ThickSlices(measured_on="phantoms", rows=(row,), usable_slice_mm=2.8)
    assert "up to 2.8 mm" in model_limits.slices_words(thick)
    assert "none of the thick slices" in model_limits.slices_words(replace(thick, usable_slice_mm=0.0))
    assert list(model_limits.slices_table(thick)["Dice, cartilage"]) == [0.6]
    rule = ConfidenceFlag(threshold=0.75, worst_caught=0.8, others_flagged=0.1, scans=45)
    assert "80 %" in model_limits.confidence_words(rule)
    assert "uncalibrated" in model_limits.confidence_words(rule)
    assert "bits" not in model_limits.confidence_words(rule)
    assert "above 0.920 bits" in model_limits.confidence_words(replace(rule, most_entropy_bits=0.92))
    everywhere = model_limits.confidence_words(replace(rule, worst_caught=1.0, others_flagged=0.9))
    assert "raises no flag" in everywhere
    assert "90 % of the others" in everywhere
    assert model_limits.slices_table(None).empty
    assert model_limits.slices_words(None) == model_limits.confidence_words(None) == ""

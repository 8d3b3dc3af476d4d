"""CSV, JSON and the peer's keys."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from pipeline.report.tables import (
    CSV_COLUMNS,
    format_value,
    json_text,
    measurements_csv,
    peer_results,
    results_document,
)
from tests.support.report_phantom import CUT, THICK_SLICES, phantom


def test_csv_and_json_have_the_same_rows_in_the_same_order() -> None:
    result = phantom()
    table = list(csv.DictReader(io.StringIO(measurements_csv(result.measurements))))
    document = json.loads(json_text(results_document(result)))["measurements"]
    assert list(CSV_COLUMNS) == [
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
    assert len(table) == len(document) == len(result.measurements)
    for line, entry in zip(table, document, strict=True):
        assert [line[name] for name in CSV_COLUMNS if name not in {"value", "n"}] == [
            entry[name] for name in CSV_COLUMNS if name not in {"value", "n"}
        ]
        assert int(line["n"]) == entry["n"]
        if entry["value"] is None:
            assert line["value"] == ""
            assert entry["n"] == 0
        else:
            assert abs(float(line["value"]) - entry["value"]) <= 0.5e-6 + 1e-12


def test_json_keeps_full_precision_of_a_measurement() -> None:
    result = phantom()
    row = replace(result.measurements[0], value=1.0 / 3.0 + 2.0)
    document = json.loads(json_text(results_document(replace(result, measurements=(row,)))))
    assert document["measurements"][0]["value"] == row.value


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.99, "1.990000"), (0.12345649, "0.123456"), (-1e-9, "0.000000"), (math.nan, ""), (8123.4567891, "8123.456789")],
)
def test_a_value_has_six_decimals_or_is_empty(value: float, text: str) -> None:
    assert format_value(value) == text


def test_results_json_contains_warnings_and_flags() -> None:
    document = json.loads(json_text(results_document(phantom())))
    assert document["side"] == "right"
    assert document["flags"][0]["code"] == "CUT_BY_FIELD_OF_VIEW"
    assert document["warnings"] == ["Shape model was skipped: <no shape model> installed."]
    assert document["options"]["cartilage_smoothing"] == 0.3125
    assert document["segmentation"]["confidence"] == {"femur": 0.97, "medial_tibial_cartilage": 0.81}
    assert document["segmentation"]["surface_entropy_bits"] == {"femur": 0.64}
    assert [step["state"] for step in document["steps"]] == ["done", "skipped"]


def test_the_peers_keys_have_the_two_crossing_statistics() -> None:
    rows = phantom().measurements
    found = peer_results(rows)
    regions = ("pat", "med_tib", "lat_tib", "ant_fem", "med_wb_fem", "lat_wb_fem", "med_post_fem", "lat_post_fem")
    assert set(found) == {f"{region}_cart_mm_{s}" for region in regions for s in ("mean", "std", "median")}
    peers = [row for row in rows if (row.quantity, row.method) == ("ThC", "two_crossing")]
    truth = {(row.structure, row.region, row.statistic): row.value for row in peers}
    assert found["ant_fem_cart_mm_mean"] == truth["femoral_cartilage", "anterior", "mean"]
    assert found["lat_tib_cart_mm_median"] == truth["tibial_cartilage", "lateral", "median"]
    assert found["pat_cart_mm_std"] == truth["patellar_cartilage", "all", "std"]


def test_thickness_that_must_not_be_used_is_null_under_the_peers_keys() -> None:
    found = peer_results(phantom((THICK_SLICES,)).measurements)
    assert set(found.values()) == {None}


def test_columns_of_the_csv_state_whether_a_number_may_be_used() -> None:
    result = phantom((THICK_SLICES, CUT))
    header, *lines = measurements_csv(result.measurements).splitlines()
    assert header.endswith(",n,flag,use,oai_variable")
    ends = {
        line.partition(",")[0]: ",".join(line.split(",")[-3:-1]) for line in lines if ",patellar_cartilage," in line
    }
    assert {ends[name] for name in ("ThC", "ThCtAB", "tAB", "dAB", "volume")} == {"CARTILAGE_NOT_USABLE,no"}
    assert ends["T2"] == "CARTILAGE_NOT_USABLE,caution"
    assert measurements_csv(phantom(()).measurements).splitlines()[1].endswith(",100,,yes,")


def test_a_region_that_was_not_measured_is_null_under_the_peers_key() -> None:
    rows = [row for row in phantom().measurements if row.structure != "patellar_cartilage"]
    assert peer_results(rows)["pat_cart_mm_mean"] is None

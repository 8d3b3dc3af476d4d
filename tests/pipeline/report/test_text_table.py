"""The table in the terminal is narrow enough to be read."""

from __future__ import annotations

from pipeline.report.text_table import text_table
from pipeline.types import Measurement


def row(quantity: str, structure: str, region: str, value: float, **fields: str) -> Measurement:
    names = {"method": "union", "statistic": "mean", "unit": "mm", "flag": "", "use": "yes"} | fields
    return Measurement(quantity=quantity, structure=structure, region=region, value=value, n=9, **names)


FEMUR = ("all", "anterior", "medial_weight_bearing", "lateral_weight_bearing", "medial_posterior", "lateral_posterior")
ROWS = [row("ThC", "femoral_cartilage", region, 2.0 + k / 10) for k, region in enumerate(FEMUR)] + [
    row("ThC", "tibial_cartilage", "medial", 1.5, use="no", flag="CARTILAGE_NOT_USABLE"),
    row("ThC", "femoral_cartilage", "all", 9.9, method="two_crossing"),
    row("joint_space", "tibial_cartilage", "medial", 3.44, method="bone_to_bone", statistic="min"),
]


def test_one_line_for_each_region_with_excluded_values_in_brackets() -> None:
    head, *lines = text_table(ROWS)
    assert head.split() == ["ThC", "mm", "SD"]
    assert lines[0].split() == ["Femur,", "whole", "plate", "2.00", "–"]
    assert lines[6].split() == ["Tibia,", "medial", "(1.50)", "–"]
    assert lines[-1] == "Do not use values in brackets (CARTILAGE_NOT_USABLE)."
    assert not any("9.90" in line for line in lines), "the second method"


def test_a_quantity_of_few_places_has_a_line_instead_of_a_column() -> None:
    many = [row("ThC", "femoral_cartilage", region, 2.0) for region in (*FEMUR, "cMF", "ccMF", "ecMF", "icMF")]
    lines = text_table([*many, *ROWS[6:]])
    assert [line for line in lines if "3.44" in line] == ["Joint space, bone to bone (mm): Tibia, medial 3.44"]
    assert lines[0].split() == ["ThC", "mm", "SD"]


def test_nothing_measured_is_an_empty_table() -> None:
    assert [line.strip() for line in text_table([])] == [""]

"""The table of quantities, methods and units."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.quantities import (
    DAB,
    HEADLINES,
    PRIMARY,
    QUANTITIES,
    SECOND,
    TAB,
    THC,
    Method,
    Quantity,
    Statistic,
    Unit,
    is_main,
)
from pipeline.types import Measurement

GLOSSARY = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=list(QUANTITIES))
def test_every_quantity_is_in_the_glossary_as_it_is_defined(quantity: Quantity) -> None:
    assert f"| {quantity.id} | {quantity.explained} |" in GLOSSARY


@pytest.mark.parametrize("method", Method)
def test_every_method_is_in_the_glossary_as_it_is_defined(method: Method) -> None:
    assert f"| {method} | {method.definition} |" in GLOSSARY


def test_column_heads_have_the_unit_as_people_write_it() -> None:
    assert (TAB.column, DAB.column) == ("tAB (mm²)", "dAB (%)")
    assert [unit.symbol for unit in Unit] == ["mm", "mm²", "mm³", "%", "ms"]


def test_one_row_of_a_quantity_in_a_region_is_the_main_one() -> None:
    assert is_main("ThC", "union", "mean")
    assert not is_main("ThC", "two_crossing", "mean")
    assert not is_main("ThC", "union", "std")
    assert not is_main("unknown", "union", "mean")
    assert PRIMARY is not SECOND


def test_a_row_has_the_unit_of_its_quantity_and_only_statistics_that_it_declares() -> None:
    row = Measurement.of(
        TAB, method=PRIMARY, structure="femoral_cartilage", region="all", statistic=Statistic.TOTAL, value=5.0, n=3
    )
    assert (row.quantity, row.method, row.statistic, row.unit) == ("tAB", "union", "total", "mm2")
    assert type(row.method) is str, "files are written from plain values"
    with pytest.raises(ValueError, match="tAB reports total, found mean"):
        Measurement.of(
            TAB, method=PRIMARY, structure="femoral_cartilage", region="all", statistic=Statistic.MEAN, value=5.0, n=3
        )


def test_the_headline_figures_are_one_per_bone_and_tibial_compartment() -> None:
    assert [region.key for _, region in HEADLINES] == [
        "femoral_cartilage/all",
        "tibial_cartilage/medial",
        "tibial_cartilage/lateral",
        "patellar_cartilage/all",
    ]
    assert THC.main is Statistic.MEAN

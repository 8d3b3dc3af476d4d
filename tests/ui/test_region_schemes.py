"""Tables, chart and choice of the two schemes of regions."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from pipeline.anatomy import REGION_SCHEME, SCHEMES, SUBREGION_SCHEME
from ui.parts import charts, tables


def row(quantity: str, structure: str, region: str, statistic: str, value: float) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "method": "union",
        "structure": structure,
        "region": region,
        "statistic": statistic,
        "value": value,
        "unit": "mm",
        "n": 9,
        "flag": "",
        "use": "yes",
        "oai_variable": "",
    }


ROWS = [
    row("ThC", "tibial_cartilage", "medial", "mean", 1.9),
    row("ThC", "tibial_cartilage", "medial", "std", 0.7),
    row("ThC", "tibial_cartilage", "cMT", "mean", 2.6),
    row("ThC", "tibial_cartilage", "cMT", "std", 0.3),
    row("ThCtAB", "femorotibial_cartilage", "MFTC", "mean", 3.7),
    row("Mav", "tibial_cartilage", "cMT", "mean", 3.3),
    row("Miv", "femorotibial_cartilage", "cMFTC", "mean", 3.8),
]


def test_subregions_are_shown_with_their_plate_and_the_sums() -> None:
    frame = tables.thickness_by_region(ROWS, SUBREGION_SCHEME)
    assert list(frame["Region"]) == ["Tibia, medial", "Tibia, medial central (cMT)", "Femur + tibia, medial (MFTC)"]
    assert list(frame["Over all bone"].dropna()) == [3.7]
    assert list(tables.thickness_by_region(ROWS)["Region"]) == ["Tibia, medial"]
    assert tables.schemes_in(ROWS, SCHEMES) == list(SCHEMES)
    assert tables.schemes_in(ROWS[:2], SCHEMES) == [REGION_SCHEME]


def test_the_distribution_has_a_table_instead_of_one_for_each_quantity() -> None:
    frame = tables.distribution_by_region(ROWS, SUBREGION_SCHEME)
    assert frame.set_index("Region")["Mav"].dropna().to_dict() == {"Tibia, medial central (cMT)": 3.3}
    assert frame.set_index("Region")["Miv"].dropna().to_dict() == {"Femur + tibia, medial central (cMFTC)": 3.8}
    assert tables.distribution_by_region(ROWS).empty
    assert tables.other_quantities(ROWS) == []


def test_other_measures_are_those_of_the_chosen_scheme_and_of_other_structures() -> None:
    volumes = [
        row("volume", structure, region, "total", 100.0)
        for structure, region in (
            ("tibial_cartilage", "medial"),
            ("tibial_cartilage", "cMT"),
            ("femoral_cartilage", "all"),
            ("medial_meniscus", "all"),
        )
    ]
    for scheme, places in (
        (REGION_SCHEME, ["Femur, whole plate", "Tibia, medial", "Medial meniscus"]),
        (SUBREGION_SCHEME, ["Tibia, medial", "Tibia, medial central (cMT)", "Medial meniscus"]),
    ):
        ((_, frame),) = tables.other_quantities(tables.in_scheme(volumes, scheme))
        assert list(frame["Place"]) == places


def test_a_known_uncertainty_is_a_column_and_a_separate_whisker() -> None:
    known = [*ROWS, row("ThC", "tibial_cartilage", "medial", "uncertainty", 0.04)]
    assert "Uncertainty" not in tables.thickness_by_region(ROWS)
    assert list(tables.thickness_by_region(known)["Uncertainty"]) == [0.04]
    plain, figure = charts.thickness_bars(ROWS), charts.thickness_bars(known)
    assert plain is not None
    assert figure is not None
    assert len(plain.data) == 1
    assert list(figure.data[1].error_x.array) == [0.04]


def test_the_chart_names_subregions_briefly() -> None:
    figure = charts.thickness_bars(ROWS, SUBREGION_SCHEME)
    assert figure is not None
    assert list(figure.data[0].y) == ["cMT", "Tibia, medial"]


def _page() -> None:
    import streamlit as st

    from pipeline.anatomy import SCHEMES
    from ui.parts.region_choice import choose_scheme

    st.title(choose_scheme(list(SCHEMES)).title)


def test_the_first_scheme_is_shown_until_another_is_chosen() -> None:
    page = AppTest.from_function(_page, default_timeout=60).run()
    assert not page.exception
    assert page.title[0].value == REGION_SCHEME.title
    page.button_group[0].select(SUBREGION_SCHEME.title).run()
    assert page.title[0].value == SUBREGION_SCHEME.title

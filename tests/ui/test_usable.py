"""Numbers that must not be used, as the page of an analysis shows them."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page() -> None:
    """T2 and thickness of a scan with slices of 4 mm; the text runs in a separate namespace."""
    from pipeline.flags import FlagCode, QualityFlag, use_of
    from pipeline.relaxation import T2_RELAXATION
    from pipeline.uses import Uses
    from ui.analysis.relaxation import show_relaxation
    from ui.analysis.results import show_headlines

    slices = QualityFlag(code=FlagCode.CARTILAGE_NOT_USABLE, reason="slices of 4 mm", message="x")
    places = [("femoral_cartilage", "all"), ("femoral_cartilage", "anterior"), ("tibial_cartilage", "medial")]
    kinds = [("ThC", "union", "mean", "mm", 2.4), ("volume", "voxel_count", "total", "mm3", 999.0)]
    kinds += [(name, "multi_echo", "median", "ms", 38.1) for name in ("T2", "T2_deep", "T2_superficial")]
    rows = []
    for structure, region in places:
        for quantity, method, statistic, unit, value in kinds:
            use, code = use_of(quantity, structure, region, [slices])
            place = {"structure": structure, "region": region, "statistic": statistic, "unit": unit, "n": 5}
            rows.append(
                {"quantity": quantity, "method": method, **place, "value": value, "flag": code, "use": use.value}
            )
    uses = Uses(flags=(slices,))
    show_headlines(rows, uses)
    show_relaxation(rows, uses, T2_RELAXATION)


def test_thickness_of_thick_slices_is_no_figure_and_t2_of_whole_plates_is() -> None:
    shown = AppTest.from_function(page, default_timeout=60).run()
    assert not shown.exception
    figures = {metric.label: metric.value for metric in shown.metric}
    assert figures["T2, femur"] == figures["T2, medial tibia"] == "38.1 ms"
    assert "2.40 mm" not in figures.values()
    (table,) = shown.dataframe
    assert list(table.value["Use"])[:2] == ["caution", "no"]

"""Quality flags."""

from dataclasses import replace

import numpy as np

from pipeline.anatomy import Side
from pipeline.grid import Grid
from pipeline.quality import expert_ranges, quality_flags, tracked
from pipeline.types import Alignment, Measurement, Segmentation


def knee(labels=range(1, 8), spacing=(0.7, 0.4, 0.4)):
    array = np.zeros((10, 10, 10), dtype=np.uint8)
    array[4, 4, : len(list(labels))] = 0
    for place, label in enumerate(labels):
        array[4, 4, 1 + place] = label
    grid = Grid(shape=array.shape, spacing_mm=spacing, origin_mm=np.zeros(3), direction=np.eye(3))
    return Segmentation(labels=array, grid=grid, model_id="x")


def fit(side=Side.RIGHT, residual=1.0, other=2.0):
    return Alignment(matrix=np.eye(4), side=side, residual_mm=residual, residual_other_mm=other)


def flags_of(segmentation=None, alignment=None, rows=(), stated=None):
    found = segmentation or knee()
    regions = np.where(found.labels == 4, 12, np.where(found.labels > 4, found.labels, 0)).astype(np.uint8)
    return quality_flags(found, regions, alignment or fit(), rows, stated_side=stated)


def codes(segmentation=None, alignment=None, rows=(), stated=None):
    return [f.code for f in flags_of(segmentation, alignment, rows, stated)]


def volume(value):
    return Measurement(
        quantity="volume",
        method="voxel_count",
        structure="femoral_cartilage",
        region="all",
        statistic="total",
        value=value,
        unit="mm3",
        n=9,
    )


def test_a_normal_knee_has_no_flag():
    low, high = expert_ranges()["volume/femoral_cartilage/all"]
    assert codes(rows=(volume((low + high) / 2),), stated="right") == []


def test_a_missing_structure_is_flagged():
    flags = flags_of(knee(labels=[1, 2, 4, 5, 6]))
    assert {f.structure for f in flags if f.code == "STRUCTURE_MISSING"} == {"patella"}


def test_cartilage_at_the_border_is_flagged_but_a_bone_shaft_is_not():
    segmentation = knee()
    labels = segmentation.labels.copy()
    labels[0, 2, 2], labels[0, 3, 3] = 1, 4
    cut = Segmentation(labels=labels, grid=segmentation.grid, model_id="x")
    flags = [f for f in flags_of(cut) if f.code == "CUT_BY_FIELD_OF_VIEW"]
    assert [f.structure for f in flags] == ["femoral_cartilage"]


def test_a_stated_side_that_the_anatomy_contradicts_is_flagged():
    assert "WRONG_SIDE_SUSPECTED" in codes(stated="left")
    assert "WRONG_SIDE_SUSPECTED" not in codes(stated="right")


def test_similar_residuals_of_both_sides_are_flagged_as_uncertain():
    assert codes(alignment=fit(residual=1.0, other=1.08), stated="left") == ["SIDE_UNCERTAIN"]
    assert codes(alignment=fit(residual=1.0, other=1.17)) == []


def test_thick_slices_are_flagged():
    assert "SPACING_TOO_COARSE" in codes(segmentation=knee(spacing=(4.0, 0.6, 0.6)))


def test_a_volume_outside_the_expert_range_is_flagged_with_both_numbers():
    low, high = expert_ranges()["volume/femoral_cartilage/all"]
    flags = flags_of(rows=(volume(2 * high),))
    assert [f.code for f in flags] == ["OUTSIDE_EXPERT_RANGE"]
    assert f"{2 * high:.4g}" in flags[0].message
    assert f"{low:.4g} to {high:.4g}" in flags[0].message


def area(value, region="all"):
    return replace(volume(value), quantity="tAB", method="union", region=region, unit="mm2")


def test_a_bone_area_outside_the_expert_range_is_flagged():
    low, high = expert_ranges()["tAB/femoral_cartilage/all"]
    assert codes(rows=(area((low + high) / 2),)) == []
    assert codes(rows=(area(13_574.0),)) == ["OUTSIDE_EXPERT_RANGE"]
    assert codes(rows=(area(0.8 * low),)) == ["OUTSIDE_EXPERT_RANGE"]


def test_a_large_denuded_area_is_flagged_but_not_a_small_one():
    denuded = replace(area(62.0), quantity="dAB", statistic="share", unit="%")
    assert codes(rows=(denuded,)) == ["OUTSIDE_EXPERT_RANGE"]
    assert codes(rows=(replace(denuded, value=0.0),)) == []


def test_a_plate_has_one_flag_that_concerns_the_rows_outside_the_range_alone():
    low, _ = expert_ranges()["volume/femoral_cartilage/all"]
    (flag,) = flags_of(rows=(volume(low), area(13_574.0), area(99_999.0, "anterior"), volume(9e9)))
    assert (
        flag.use_of("tAB", "femoral_cartilage", "all") == flag.use_of("volume", "femoral_cartilage", "all") == "caution"
    )
    assert flag.use_of("tAB", "femoral_cartilage", "medial_posterior") == "yes"
    assert flag.use_of("ThC", "femoral_cartilage", "all") == "yes"


def test_the_tabled_ranges_are_those_of_knees():
    ranges = expert_ranges()
    assert {
        "ThC/femoral_cartilage/anterior",
        "ThC/tibial_cartilage/medial",
        "volume/patellar_cartilage/all",
        "tAB/tibial_cartilage/lateral",
        "dAB/femoral_cartilage/all",
    } <= set(ranges)
    most = {"volume": 60_000, "ThC": 6, "tAB": 10_000, "dAB": 20}
    for key, (low, high) in ranges.items():
        assert 0 <= low < high < most[key.partition("/")[0]]


def row_of(quantity, value, region="all", method="union", statistic="mean", structure="femoral_cartilage"):
    return Measurement(
        quantity=quantity,
        method=method,
        structure=structure,
        region=region,
        statistic=statistic,
        value=value,
        unit="mm",
        n=9,
    )


def test_a_value_is_flagged_from_15_percent_outside_the_expert_range():
    low, high = expert_ranges()["ThC/femoral_cartilage/all"]
    for value, flagged in (
        (low * 0.85 - 0.01, True),
        (low * 0.85 + 0.01, False),
        (high * 1.15 - 0.01, False),
        (high * 1.15 + 0.01, True),
    ):
        assert ("OUTSIDE_EXPERT_RANGE" in codes(rows=(row_of("ThC", value),))) == flagged, value


def test_denuded_bone_has_an_additional_tolerance():
    low, high = expert_ranges()["dAB/femoral_cartilage/all"]
    limit = high * 1.15 + 5.0
    assert low < 5.0
    for value, flagged in ((0.0, False), (limit - 0.1, False), (limit + 0.1, True)):
        assert ("OUTSIDE_EXPERT_RANGE" in codes(rows=(row_of("dAB", value, statistic="share"),))) == flagged, value


def test_only_main_values_of_the_primary_method_are_compared_with_the_ranges():
    assert tracked(row_of("ThC", 2.0)) == "ThC/femoral_cartilage/all"
    assert tracked(row_of("ThC", 2.0, region="anterior")) == "ThC/femoral_cartilage/anterior"
    assert tracked(row_of("tAB", 2.0, region="anterior", statistic="total")) == "tAB/femoral_cartilage/anterior"
    assert tracked(row_of("dAB", 2.0, statistic="share")) == "dAB/femoral_cartilage/all"
    for other in (
        row_of("ThC", 2.0, statistic="std"),
        row_of("ThC", 2.0, method="two_crossing"),
        row_of("tAB", 2.0, method="two_crossing"),
        row_of("ThCtAB", 2.0),
        row_of("dAB", 2.0, region="anterior", statistic="share"),
        row_of("dAB", 2.0, method="two_crossing", statistic="share"),
        row_of("volume", 2.0, structure="medial_meniscus"),
    ):
        assert tracked(other) is None, other


def test_a_row_without_vertices_is_not_compared():
    assert codes(rows=(replace(row_of("ThC", 99.0), n=0),)) == []


def test_voxels_of_up_to_one_and_a_half_millimetres_are_fine_enough():
    for spacing, flagged in ((np.float32(1.5), False), (1.52, True)):
        assert ("SPACING_TOO_COARSE" in codes(knee(spacing=(float(spacing), 0.4, 0.4)))) == flagged


def test_a_side_is_sure_from_a_ratio_of_residuals_of_1_15():
    for other, sure in ((1.14, False), (1.16, True)):
        assert ("SIDE_UNCERTAIN" in codes(alignment=fit(other=other))) != sure
        assert ("WRONG_SIDE_SUSPECTED" in codes(alignment=fit(other=other), stated="left")) == sure


def test_an_outline_is_unusual_from_1_5_mm_off_the_reference():
    for residual, unusual in ((1.49, False), (1.51, True)):
        assert ("UNUSUAL_FEMUR" in codes(alignment=fit(residual=residual, other=9.0))) == unusual

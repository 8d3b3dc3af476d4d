"""Changes and transferred values on small surfaces with known answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import SUBREGION_SCHEME, Side, Structure
from pipeline.anatomy.subregions import CONDYLE
from pipeline.comparison.bones import Residual
from pipeline.comparison.carry import INSIDE, carry_thickness, nearest_on
from pipeline.comparison.changes import (
    LARGER,
    UNKNOWN,
    WITHIN,
    BoneChange,
    Change,
    matched_changes,
    matched_in_subregions,
    own_changes,
)
from pipeline.comparison.compare import Comparison, differences
from pipeline.comparison.documents import changes_csv, comparison_document
from pipeline.comparison.folders import read_knee
from pipeline.comparison.knee import Knee
from pipeline.comparison.reproducibility import Reproducibility, read_reproducibility
from pipeline.comparison.scene import write_comparison_scene
from pipeline.errors import NotComparable
from pipeline.flags import QualityFlag
from pipeline.grid import FloatArray, Grid
from pipeline.quantities import Method
from pipeline.registration import Target
from pipeline.segmentation.identity import GIVEN, ModelIdentity
from pipeline.types import Alignment, Measurement, Surface, ThicknessMap
from tests.support.report_phantom import THICK_SLICES
from tests.support.scene_file import read_scene

RESIDUAL = Residual(mean=0.1, rms=0.2, p95=0.4, plate_rms=0.3, overlap=0.875)
NOTHING_KNOWN = Reproducibility()


def sheet(size: int, step_mm: float = 1.0, height: float = 0.0) -> Surface:
    """A flat sheet of size x size vertices in the x-y plane, facing +z; each stands for 1 mm²."""
    x, y = np.meshgrid(np.arange(size) * step_mm, np.arange(size) * step_mm, indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1)
    at = np.arange(size * size).reshape(size, size)
    a, b, c, d = at[:-1, :-1].ravel(), at[1:, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])
    return Surface(
        points_mm=points,
        faces=faces,
        normals=np.tile([0.0, 0, 1], (len(points), 1)),
        vertex_areas_mm2=np.ones(len(points)),
        structure=Structure.FEMUR,
    )


def plate(surface: Surface, thickness: FloatArray, region: int = 12) -> ThicknessMap:
    return ThicknessMap(
        surface=surface,
        thickness_mm=np.asarray(thickness, dtype=float),
        region=np.full(len(thickness), region, dtype=np.uint8),
        method=Method.UNION,
    )


def bone(first: FloatArray, second: FloatArray, size: int = 4) -> BoneChange:
    return BoneChange(
        first=plate(sheet(size), first), second_mm=np.asarray(second, dtype=float), matrix=np.eye(4), residual=RESIDUAL
    )


def known(sdc_mm: float) -> Reproducibility:
    return Reproducibility(regions={"femoral_cartilage/medial_weight_bearing": {"sdc_mm": sdc_mm}})


def change_of(rows: tuple[Change, ...], region: str = "medial_weight_bearing") -> Change:
    return next(row for row in rows if row.region == region)


def test_matched_thickness_is_the_mean_over_the_same_points() -> None:
    first, second = np.full(16, 2.0), np.full(16, 2.5)
    first[:4], second[4:8] = 1.0, np.nan
    rows = matched_changes(bone(first, second), NOTHING_KNOWN)
    assert [row.region for row in rows][-1] == "all"
    for row in (change_of(rows), change_of(rows, "all")):
        assert row.a == pytest.approx((4 * 1 + 8 * 2) / 12)
        assert row.b == pytest.approx(2.5)
        assert row.change == pytest.approx(2.5 - 20 / 12)
        assert row.change_percent == pytest.approx(50.0)
        assert row.compared_percent == pytest.approx(75.0)
        assert (row.registration_rms_mm, row.verdict) == (0.3, UNKNOWN)
    empty = change_of(rows, "anterior")
    assert (empty.a, empty.b, empty.change, empty.compared_percent) == (None, None, None, None)


def test_subregions_are_matched_over_the_same_points_too() -> None:
    first, second = np.full(16, 2.0), np.full(16, 2.5)
    second[:4], second[6:8] = 1.4, np.nan
    there = bone(first, second)
    there.first.subregion[:4] = CONDYLE[0]["central"].label
    there.first.subregion[4:8] = CONDYLE[0]["external"].label
    rows = matched_in_subregions(there, NOTHING_KNOWN)
    assert {row.quantity for row in rows} == {"ThC_matched"}
    assert [row.region for row in rows] == [r.name for r in SUBREGION_SCHEME.regions if r.plate == "femoral_cartilage"]
    for region, b, compared in (("ccMF", 1.4, 100.0), ("ecMF", 2.5, 50.0), ("cMF", (4 * 1.4 + 2 * 2.5) / 6, 75.0)):
        row = change_of(rows, region)
        assert (row.a, row.b, row.compared_percent) == (pytest.approx(2.0), pytest.approx(b), pytest.approx(compared))
    assert change_of(rows, "pLF").change is None


def test_an_analysis_without_subregions_has_none_matched() -> None:
    assert matched_in_subregions(bone(np.full(16, 2.0), np.full(16, 2.5)), NOTHING_KNOWN) == ()


def test_a_region_with_less_than_half_of_its_area_in_common_has_no_mean() -> None:
    for compared, given in ((8, True), (7, False)):
        second = np.full(16, 3.0)
        second[compared:] = np.nan
        row = change_of(matched_changes(bone(np.full(16, 2.0), second), NOTHING_KNOWN))
        assert (row.change is not None) == given
        assert row.compared_percent == pytest.approx(100 * compared / 16)


def test_the_registration_error_is_the_slope_of_the_thickness_times_the_residual() -> None:
    points = sheet(4).points_mm
    slope = 0.5 * points[:, 0] - 0.25 * points[:, 1] + 1.0
    row = change_of(matched_changes(bone(slope, slope), NOTHING_KNOWN))
    assert row.registration_error == pytest.approx(0.3 * np.hypot(0.5, 0.25))
    flat = change_of(matched_changes(bone(np.full(16, 2.0), np.full(16, 2.0)), NOTHING_KNOWN))
    assert flat.registration_error == pytest.approx(0.0)
    lonely = np.full(1, 2.0)
    alone = BoneChange(first=plate(sheet(1), lonely), second_mm=lonely, matrix=np.eye(4), residual=RESIDUAL)
    assert change_of(matched_changes(alone, NOTHING_KNOWN)).registration_error == 0.0


@pytest.mark.parametrize(("change_mm", "verdict"), [(0.49, WITHIN), (0.51, LARGER), (-0.49, WITHIN), (-0.51, LARGER)])
def test_both_errors_are_combined_as_independent_ones(change_mm: float, verdict: str) -> None:
    """The smallest detectable change is 0.3 mm; 4/3 mm per mm under a residual of 0.3 mm are 0.4 mm: together 0.5."""
    slope = 4 / 3 * sheet(4).points_mm[:, 0] + 10.0
    row = change_of(matched_changes(bone(slope, slope + change_mm), known(0.3)))
    assert row.sdc == 0.3
    assert row.registration_error == pytest.approx(0.4)
    assert row.verdict == verdict


def measured(
    value: float, quantity: str = "ThC", statistic: str = "mean", unit: str = "mm", **fields: str
) -> Measurement:
    names = {"method": "union", "structure": "femoral_cartilage", "region": "medial_weight_bearing"} | fields
    return Measurement(quantity=quantity, statistic=statistic, value=value, unit=unit, n=9, **names)


def test_main_figures_of_both_knees_are_compared() -> None:
    (row,) = own_changes([measured(2.0), measured(1.0, statistic="std")], [measured(1.5)], known(0.4))
    assert (row.a, row.b, row.change, row.change_percent) == (2.0, 1.5, -0.5, -25.0)
    assert (row.sdc, row.verdict, row.registration_rms_mm) == (0.4, LARGER, None)
    (row,) = own_changes([measured(2.0)], [measured(1.7)], known(0.4))
    assert row.verdict == WITHIN
    assert own_changes([measured(2.0)], [measured(2.0, region="anterior")], NOTHING_KNOWN) == ()


@pytest.mark.parametrize(
    ("quantity", "second_ms", "verdict"),
    [("T2", 45.5, WITHIN), ("T2", 45.7, LARGER), ("T2", 34.3, LARGER), ("T2_deep", 60.0, UNKNOWN)],
)
def test_a_change_of_t2_is_judged_by_the_published_14_percent(quantity: str, second_ms: float, verdict: str) -> None:
    row = {"quantity": quantity, "statistic": "median", "unit": "ms", "method": "multi_echo"}
    (found,) = own_changes([measured(40.0, **row)], [measured(second_ms, **row)], NOTHING_KNOWN)
    assert found.sdc == (None if verdict == UNKNOWN else pytest.approx(5.6))
    assert found.verdict == verdict


def test_without_a_value_there_is_no_change_and_no_percentage_of_zero() -> None:
    for a, b in ((np.nan, 2.0), (2.0, np.nan)):
        (row,) = own_changes([measured(a)], [measured(b)], known(0.4))
        assert (row.change, row.change_percent, row.verdict) == (None, None, UNKNOWN)
    (row,) = own_changes([measured(0.0)], [measured(1.0)], known(0.4))
    assert (row.change, row.change_percent) == (1.0, None)
    share = {"quantity": "dAB", "statistic": "share", "unit": "%"}
    (row,) = own_changes([measured(2.0, **share)], [measured(3.0, **share)], known(0.4))
    assert (row.change, row.change_percent, row.sdc, row.verdict) == (1.0, None, None, UNKNOWN)


def test_only_finite_numbers_are_a_smallest_detectable_change() -> None:
    for value, expected in ((0.2, 0.2), (1, 1.0), (float("nan"), None), (float("inf"), None), ("0.2", None)):
        figures = Reproducibility(regions={"plate/part": {"sdc_mm": value}})
        assert figures.sdc_mm("plate", "part") == expected
    assert NOTHING_KNOWN.sdc_mm("plate", "part") is None
    assert read_reproducibility(None) == NOTHING_KNOWN


def test_a_change_of_a_worn_region_must_be_larger_to_be_called_one() -> None:
    share = {"quantity": "dAB", "statistic": "share", "unit": "%"}
    figures = replace(known(0.3), sdc_mm_per_denuded_percent=0.05)
    for denuded, sdc, verdict in ((0.0, 0.3, LARGER), (8.0, 0.5, WITHIN)):
        first, second = [measured(2.0), measured(denuded, **share)], [measured(2.4), measured(0.0, **share)]
        row, _ = own_changes(first, second, figures.in_knees(first, second))
        assert row.sdc == pytest.approx(sdc)
        assert row.verdict == verdict


def test_the_nearest_point_is_in_a_triangle_or_at_a_corner() -> None:
    found = nearest_on(np.array([[0.25, 0.25, 0.5], [1.75, 1.75, -1.0], [-3.0, -4.0, 0.0]]), Target(surface=sheet(3)))
    points = np.einsum("nk,nkj->nj", found.shares, sheet(3).points_mm[found.corners])
    assert points == pytest.approx(np.array([[0.25, 0.25, 0], [1.75, 1.75, 0], [0, 0, 0]]))
    assert found.distance_mm == pytest.approx([0.5, 1.0, 5.0])
    assert found.shares.sum(axis=1) == pytest.approx(1.0)


def test_thickness_is_interpolated_on_the_other_bone() -> None:
    surface = sheet(5)
    other = plate(surface, surface.points_mm[:, 0] * 0.5 + surface.points_mm[:, 1])
    points = np.array([[1.5, 2.25, 0.3], [0.5, 3.5, -1.99], [2.0, 2.0, 2.0], [2.0, 2.0, 2.01]])
    up = np.tile([0.0, 0, 1], (4, 1))
    assert carry_thickness(points, up, other) == pytest.approx([3.0, 3.75, 3.0, np.nan], nan_ok=True)
    assert np.isnan(carry_thickness(points, -up, other)).all(), "the other side of the bone"
    inverted = replace(other, surface=replace(surface, normals=-3 * surface.normals))
    assert carry_thickness(points[:3], -up[:3], inverted) == pytest.approx([3.0, 3.75, 3.0]), "normals are normalised"


def test_a_point_needs_half_of_its_weight_in_the_plate() -> None:
    surface = sheet(2)
    thickness = np.array([2.0, 4.0, np.nan, np.nan])  # at (0, 0) and (0, 1); outside at (1, 0) and (1, 1)
    up = np.tile([0.0, 0, 1], (3, 1))
    points = np.array([[0.25, 0.25, 0.0], [1 - INSIDE - 0.01, 0.0, 0.0], [1 - INSIDE + 0.01, 0.0, 0.0]])
    found = carry_thickness(points, up, plate(surface, thickness))
    assert found[0] == pytest.approx((0.5 * 2 + 0.25 * 4) / 0.75)
    assert found[1] == pytest.approx(2.0)
    assert np.isnan(found[2])


TRIANGLE = Surface(
    points_mm=np.array([[1.0, 1, 0], [5, 1, 0], [1, 3, 0]]),
    faces=np.array([[0, 1, 2]]),
    normals=np.tile([0.0, 0, 1], (3, 1)),
    vertex_areas_mm2=np.ones(3),
    structure=Structure.FEMUR,
)


@pytest.mark.parametrize(
    ("point", "nearest"),
    [
        ((2.0, 1.5, 0.5), (2.0, 1.5, 0.0)),
        ((3.0, 0.0, 0.0), (3.0, 1.0, 0.0)),
        ((0.0, 2.0, 1.0), (1.0, 2.0, 0.0)),
        ((4.0, 4.0, 0.0), (3.0, 2.0, 0.0)),
        ((7.0, 0.5, 0.0), (5.0, 1.0, 0.0)),
        ((0.0, 9.0, 0.0), (1.0, 3.0, 0.0)),
        ((-1.0, -1.0, 2.0), (1.0, 1.0, 0.0)),
    ],
)
def test_the_nearest_point_of_a_triangle_is_inside_on_an_edge_or_a_corner(
    point: tuple[float, ...], nearest: tuple[float, ...]
) -> None:
    found = nearest_on(np.array([point]), Target(surface=TRIANGLE))
    there = np.einsum("nk,nkj->nj", found.shares, TRIANGLE.points_mm[found.corners])
    assert there[0] == pytest.approx(nearest)
    assert found.distance_mm[0] == pytest.approx(np.linalg.norm(np.subtract(point, nearest)))


def knee(**fields: object) -> Knee:
    """A knee without bones."""
    plain = Knee(
        maps=(),
        alignment=Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=1.0, residual_other_mm=2.0),
        measurements=(),
        flags=(),
        model=ModelIdentity(id="given:canonical", source=GIVEN, digests={}),
        options={"side": "auto", "turn": "", "t2": True},
        grid=Grid(shape=(20, 20, 20), spacing_mm=(0.7, 0.3, 0.3), origin_mm=np.zeros(3), direction=np.eye(3)),
    )
    return replace(plain, **fields)


def test_a_mirrored_knee_has_the_same_place_in_the_reference_frame() -> None:
    matrix = np.eye(4)
    matrix[:3] = [[0, -1.1, 0, 10], [1.1, 0, 0, -20], [0, 0, 1.1, 30]]
    right = knee(
        alignment=replace(knee().alignment, matrix=matrix), maps=(plate(sheet(3, height=7.0), np.full(9, 2.0)),)
    )
    left = right.mirrored()
    assert (right.side, left.side) == (Side.RIGHT, Side.LEFT)
    (here,), (there,) = right.maps, left.maps
    assert left.alignment.to_reference(there.surface.points_mm) == pytest.approx(
        right.alignment.to_reference(here.surface.points_mm)
    )
    a, b, c = (there.surface.points_mm[there.surface.faces[:, k]] for k in range(3))
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), there.surface.normals[there.surface.faces[:, 0]]) > 0).all()
    assert left.mirrored().alignment.matrix == pytest.approx(matrix)


def sized(*spacing_mm: float) -> Knee:
    return knee(grid=replace(knee().grid, spacing_mm=spacing_mm))


def testdifferences_other_than_the_knees_are_named() -> None:
    assert differences(knee(), knee()) == []
    assert differences(knee(), knee(options={"side": "left", "turn": "", "t2": True})) == []
    (text,) = differences(knee(), knee(options={"side": "auto", "turn": "RAS"}))
    assert text == "The options differ: t2, turn."
    assert differences(knee(), sized(0.3, 0.3, 0.72)) == [], "in another order, within 5 %"
    for other in (sized(0.7, 0.3, 0.32), sized(0.65, 0.3, 0.3), sized(0.7, 0.28, 0.3)):
        (text,) = differences(knee(), other)
        assert text.startswith("The voxel sizes differ (0.30 x 0.30 x 0.70 mm, ")


def two_knees(*flags: tuple[QualityFlag, ...]) -> Comparison:
    """Of one bone; flags: of the first and of the second knee."""
    first, second = flags or ((), ())
    there = bone(np.full(16, 2.0), np.full(16, 2.5))
    return Comparison(
        knees=(knee(flags=first), knee(flags=second)),
        bones=(there,),
        changes=matched_changes(there, known(0.3)),
        mirrored=False,
        reproducibility=known(0.3),
        warnings=("a warning",),
    )


def test_the_document_states_the_registration_in_its_units() -> None:
    document = comparison_document(two_knees())
    (registration,) = document["registration"]
    figures = {"mean_mm": 0.1, "rms_mm": 0.2, "p95_mm": 0.4, "plate_rms_mm": 0.3, "overlap_percent": 87.5}
    assert {name: registration[name] for name in figures} == figures
    assert document["sdc"]["known"] is True
    assert document["warnings"] == ["a warning"]
    assert "at most 0.30 mm apart (rms, femur)" in document["registration_note"]
    header, *rows = changes_csv(two_knees().changes).splitlines()
    assert header.split(",")[:6] == ["quantity", "structure", "region", "a", "b", "change"]
    assert "ThC_matched,femoral_cartilage,anterior,,,,,,not known,0.300000,mm,,yes" in rows


def test_the_scene_shows_both_thicknesses_and_the_change_with_the_reason_not_to_use_them(tmp_path: Path) -> None:
    path = tmp_path / "comparison" / "view" / "scene.bin"
    thick = (THICK_SLICES,)
    for first, second in (((), ()), ((), thick), (thick, ()), (thick, thick)):
        write_comparison_scene(path, two_knees(first, second), knee().grid)
        header, meshes = read_scene(path)
        (mesh,) = meshes.values()
        shown = {"first": 2.0, "second": 2.5, "change": 0.5}
        assert {name: mesh.channels[name][0] for name in shown} == {
            name: pytest.approx(value, abs=0.001) for name, value in shown.items()
        }
        channels = {channel["name"]: channel for channel in header["channels"]}
        assert {name: channels[name]["usable"] for name in shown} == {
            "first": not first,
            "second": not second,
            "change": not first and not second,
        }
        assert all(bool(channels[name]["note"]) != channels[name]["usable"] for name in shown)


def test_an_incomplete_analysis_is_not_compared(tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match="incomplete"):
        read_knee(tmp_path)

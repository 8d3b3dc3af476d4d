"""Comparison of two knees: known motions, known changes, mirror images."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_info, threadpool_limits

from bench.phantoms import Phantom, ellipsoid
from pipeline.alignment import align_knee
from pipeline.anatomy import BONES, Side, Structure
from pipeline.comparison.bones import register_bone
from pipeline.comparison.changes import LARGER, UNKNOWN, WITHIN
from pipeline.comparison.compare import Comparison, compare
from pipeline.comparison.documents import CSV_COLUMNS, changes_csv, comparison_document, registration_note
from pipeline.comparison.knee import MIRROR, Knee
from pipeline.comparison.reproducibility import Reproducibility, known_of, read_reproducibility
from pipeline.errors import NotComparable
from pipeline.grid import FloatArray, Grid
from pipeline.measure import measure_thickness, measure_volumes
from pipeline.quantities import THC_MATCHED
from pipeline.regions import subregions
from pipeline.registration import apply
from pipeline.segmentation.identity import GIVEN, INSTALLED, ModelIdentity
from pipeline.segmentation.registry import built_in_models
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Alignment, Segmentation
from tests.support.knees import mirrored, reference_knee, turned_knee
from tests.support.report_phantom import THICK_SLICES

pytestmark = pytest.mark.slow

NOTHING_KNOWN = Reproducibility()
AXES_MM = (26.0, 19.0, 15.0)


def analysed(segmentation: Segmentation) -> Knee:
    """The data that a comparison uses from the analysis of a label map."""
    surfaces = [bone_surface(segmentation, bone) for bone in BONES if bone in segmentation.boxes]
    alignment = align_knee(surfaces[0])
    parts = subregions(segmentation, alignment)
    maps = tuple(thickness_maps(surface, segmentation, parts, 0.3125)[0] for surface in surfaces)
    rows = [row for item in maps for row in measure_thickness(item)]
    return Knee(
        maps=maps,
        alignment=alignment,
        measurements=(*rows, *measure_volumes(segmentation, parts)),
        flags=(),
        model=ModelIdentity(id="given:canonical", source=GIVEN, digests={}),
        options={},
        grid=segmentation.grid,
    )


@lru_cache(maxsize=1)
def plain() -> Knee:
    return analysed(reference_knee())


@lru_cache(maxsize=1)
def oblique() -> Knee:
    """The reference knee, rotated and resampled to an oblique, anisotropic grid."""
    return analysed(turned_knee(scale=1.0))


def carried(segmentation: Segmentation, turn: FloatArray, shift: FloatArray) -> Segmentation:
    """The same voxels at another position in the scanner."""
    grid = segmentation.grid
    there = Grid(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        origin_mm=turn @ grid.origin_mm + shift,
        direction=turn @ grid.direction,
    )
    return replace(segmentation, grid=there)


def matched(comparison: Comparison) -> dict[tuple[str, str], float]:
    return {
        (row.structure, row.region): row.change
        for row in comparison.changes
        if row.quantity == THC_MATCHED.id and row.change is not None
    }


def test_a_rigidly_moved_knee_shows_no_change_and_its_motion_is_recovered() -> None:
    turn = Rotation.from_euler("xyz", (11.0, -7.0, 5.0), degrees=True).as_matrix()
    shift = np.array([12.0, -30.0, 8.0])
    comparison = compare(oblique(), analysed(carried(turned_knee(scale=1.0), turn, shift)), NOTHING_KNOWN)
    assert len(comparison.bones) == 3
    assert not comparison.warnings
    for bone in comparison.bones:
        points = bone.first.surface.points_mm[::500]
        assert apply(bone.matrix, points @ turn.T + shift) == pytest.approx(points, abs=0.005)
        assert bone.residual.rms < 0.002
        assert bone.residual.overlap > 0.999
    assert len(matched(comparison)) == 10
    assert max(map(abs, matched(comparison).values())) < 1e-3


def test_a_comparison_uses_one_thread_for_matrices_so_that_no_bit_depends_on_the_number_of_cores() -> None:
    threads: set[int] = set()

    def note_threads(_share: float, _what: str) -> None:
        threads.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    with threadpool_limits(limits=2, user_api="blas"):
        compare(plain(), plain(), NOTHING_KNOWN, note_threads)
    assert threads == {1}


def test_resampling_to_an_oblique_grid_changes_less_than_a_voxel() -> None:
    comparison = compare(plain(), oblique(), NOTHING_KNOWN)
    turn = Rotation.from_euler("xyz", (6.0, -4.0, 9.0), degrees=True).as_matrix()
    for bone in comparison.bones:
        points = bone.first.surface.points_mm[bone.first.region > 0][::100]
        there = points @ turn.T + np.array([25.0, -40.0, 15.0])
        assert apply(bone.matrix, there) == pytest.approx(points, abs=0.25)
    assert max(map(abs, matched(comparison).values())) < 0.08
    assert all(row.compared_percent > 90 for row in comparison.changes if row.quantity == THC_MATCHED.id)


def test_a_left_knee_and_its_mirror_image_show_no_change() -> None:
    left = analysed(mirrored(turned_knee(scale=1.0)))
    assert left.side is Side.LEFT
    comparison = compare(oblique(), left, NOTHING_KNOWN)
    assert comparison.mirrored
    assert max(map(abs, matched(comparison).values())) < 1e-3
    for bone in comparison.bones:
        points = bone.first.surface.points_mm[::500]
        assert np.linalg.det(bone.matrix[:3, :3]) == pytest.approx(-1)
        assert apply(bone.matrix, apply(MIRROR, points)) == pytest.approx(points, abs=0.005)
    assert "mirrored" in comparison.warnings[0]


def phantom_knee(phantom: Phantom, off: Rotation) -> Knee:
    """A phantom whose plate is medial at +x (local frame) and lateral otherwise; its alignment is known up to the
    rotation `off`.
    """
    segmentation = phantom.segmentation
    to_own = np.eye(4)
    to_own[:3, :3] = off.as_matrix() @ phantom.rotation.T
    to_own[:3, 3] = -to_own[:3, :3] @ phantom.centre_mm
    index = np.argwhere(segmentation.labels == Structure.FEMORAL_CARTILAGE)
    own = (segmentation.grid.to_mm(index) - phantom.centre_mm) @ phantom.rotation
    regions = np.zeros_like(segmentation.labels)
    regions[tuple(index.T)] = np.where(own[:, 0] > 0, 12, 13)
    item = thickness_maps(bone_surface(segmentation, Structure.FEMUR), segmentation, regions, 0.3125)[0]
    return Knee(
        maps=(item,),
        alignment=Alignment(matrix=to_own, side=Side.RIGHT, residual_mm=0.5, residual_other_mm=2.0),
        measurements=measure_thickness(item),
        flags=(),
        model=ModelIdentity(id="given:canonical", source=GIVEN, digests={}),
        options={},
        grid=segmentation.grid,
    )


@lru_cache(maxsize=1)
def thickened() -> tuple[Knee, Knee, Phantom, Phantom]:
    """A phantom of 2.0 mm; and one in another pose, on another grid, with 2.5 mm in the half at +x."""
    thin, thick = ellipsoid(AXES_MM, 2.0, seed=3), ellipsoid(AXES_MM, 2.5, seed=8)
    labels = thick.segmentation.labels.copy()
    index = np.argwhere(labels == Structure.FEMORAL_CARTILAGE)
    own = (thick.segmentation.grid.to_mm(index) - thick.centre_mm) @ thick.rotation
    outside = ((own / (np.array(AXES_MM) + 2.0)) ** 2).sum(axis=1) >= 1
    labels[tuple(index[outside & (own[:, 0] <= 0)].T)] = 0
    half = replace(thick, segmentation=replace(thick.segmentation, labels=labels))
    none, eight = Rotation.identity(), Rotation.from_euler("xyz", (5.0, -4.0, 5.0), degrees=True)
    return phantom_knee(thin, none), phantom_knee(half, eight), thin, thick


def test_thickening_of_a_region_is_measured_only_there() -> None:
    first, second, thin, thick = thickened()
    comparison = compare(first, second, NOTHING_KNOWN)
    (bone,) = comparison.bones
    points = bone.first.surface.points_mm
    own = (points - thin.centre_mm) @ thin.rotation
    there = own @ thick.rotation.T + thick.centre_mm
    assert apply(bone.matrix, there) == pytest.approx(points, abs=0.1)
    truth = np.where(own[:, 0] > 0, thick.true_thickness(there), thin.true_thickness(points))
    truth = truth - thin.true_thickness(points)
    clear = np.isfinite(bone.change_mm) & (np.abs(own[:, 0]) > 2)  # the step is smoothed
    off = (bone.change_mm - truth)[clear]
    assert abs(off.mean()) < 0.01
    assert np.sqrt((off**2).mean()) < 0.1
    found = matched(comparison)
    assert found["femoral_cartilage", "medial_weight_bearing"] == pytest.approx(0.5, abs=0.03)
    assert found["femoral_cartilage", "lateral_weight_bearing"] == pytest.approx(0.0, abs=0.03)


def test_a_change_is_compared_with_the_scan_rescan_error() -> None:
    first, second, _, _ = thickened()
    regions = {
        "femoral_cartilage/medial_weight_bearing": {"cv_percent": 2.0, "sdc_mm": 0.15},
        "femoral_cartilage/lateral_weight_bearing": {"cv_percent": 2.0, "sdc_mm": 0.15},
    }
    comparison = compare(first, second, Reproducibility(method="phantoms", knees=1, repeats=2, regions=regions))
    verdicts = {(row.quantity, row.region): row.verdict for row in comparison.changes}
    assert verdicts[THC_MATCHED.id, "medial_weight_bearing"] == LARGER
    assert verdicts[THC_MATCHED.id, "lateral_weight_bearing"] == WITHIN
    assert verdicts["ThC", "medial_weight_bearing"] == LARGER
    assert verdicts[THC_MATCHED.id, "all"] == UNKNOWN
    assert verdicts["dAB", "medial_weight_bearing"] == UNKNOWN


def test_the_effect_of_a_shift_is_within_the_stated_registration_error() -> None:
    """The reference registered to itself, then shifted along the surface by a known distance."""
    from pipeline.comparison.carry import carry_thickness
    from pipeline.comparison.changes import BoneChange, matched_changes

    item = plain().maps[0]
    alignments = (plain().alignment, plain().alignment)
    matrix, residual = register_bone(item, item, alignments)
    inside = np.isfinite(item.thickness_mm)
    pushed, push = 0.3, np.array([0.0, 0.3, 0.0])
    slid = replace(item, surface=replace(item.surface, points_mm=item.surface.points_mm + push))
    second = np.full(len(inside), np.nan)
    second[inside] = carry_thickness(item.surface.points_mm[inside], item.surface.normals[inside], slid)
    bone = BoneChange(first=item, second_mm=second, matrix=matrix, residual=replace(residual, plate_rms=pushed))
    rows = [row for row in matched_changes(bone, NOTHING_KNOWN) if row.region != "all"]
    assert all(abs(row.change) < row.registration_error + 0.01 for row in rows)
    assert max(row.registration_error for row in rows) < 0.1


def test_different_models_options_and_voxel_sizes_give_warnings() -> None:
    first, second, _, _ = thickened()
    coarse = replace(second.grid, spacing_mm=(1.0, 1.0, 1.0))
    other = replace(
        second, model=replace(second.model, id="another"), options={"cartilage_smoothing": 0.5}, grid=coarse
    )
    warnings = " ".join(compare(first, other, NOTHING_KNOWN).warnings)
    assert "two different models" in warnings
    assert "cartilage smoothing" in warnings
    assert "voxel sizes differ" in warnings


def test_two_analyses_without_a_common_bone_are_rejected() -> None:
    first, second, _, _ = thickened()
    tibia = replace(second.maps[0], surface=replace(second.maps[0].surface, structure=Structure.TIBIA))
    with pytest.raises(NotComparable, match="one of the two"):
        compare(first, replace(second, maps=(tibia,)), NOTHING_KNOWN)


def test_a_number_that_one_analysis_must_not_use_has_no_verdict() -> None:
    first, second, _, _ = thickened()
    regions = {"femoral_cartilage/medial_weight_bearing": {"cv_percent": 2.0, "sdc_mm": 0.15}}
    known = Reproducibility(method="phantoms", knees=1, repeats=2, regions=regions)
    comparison = compare(first, replace(second, flags=(THICK_SLICES,)), known)
    assert {(row.flag, row.use, row.verdict) for row in comparison.changes} == {("CARTILAGE_NOT_USABLE", "no", UNKNOWN)}
    assert changes_csv(comparison.changes).splitlines()[1].endswith(",CARTILAGE_NOT_USABLE,no")
    assert comparison_document(comparison)["b"]["flags"][0]["use"] == "no"


def test_a_bone_of_another_knee_is_rejected() -> None:
    first, second, _, _ = thickened()
    points = second.maps[0].surface.points_mm
    small = points.mean(axis=0) + (points - points.mean(axis=0)) * [0.5, 0.6, 0.4]
    other = replace(second.maps[0], surface=replace(second.maps[0].surface, points_mm=small))
    with pytest.raises(NotComparable, match="Femur"):
        compare(first, replace(second, maps=(other,)), NOTHING_KNOWN)


def test_the_table_is_tidy_and_the_document_explains_the_registration_error() -> None:
    first, second, _, _ = thickened()
    comparison = compare(first, second, NOTHING_KNOWN)
    rows = list(csv.DictReader(io.StringIO(changes_csv(comparison.changes))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert {row["quantity"] for row in rows} == {THC_MATCHED.id, "ThC", "ThCtAB", "tAB", "dAB"}
    assert all(row["sdc"] == "" and row["verdict"] == UNKNOWN for row in rows)
    for row in rows:
        if row["a"] and row["b"]:
            assert float(row["b"]) - float(row["a"]) == pytest.approx(float(row["change"]), abs=2e-6)
    document = comparison_document(comparison)
    assert document["sdc"]["known"] is False
    assert document["registration"][0]["structure"] == "femur"
    assert "mm" in registration_note(comparison)


def test_without_a_reproducibility_file_nothing_is_known(tmp_path) -> None:
    assert read_reproducibility(tmp_path / "none.json").sdc_mm("femoral_cartilage", "all") is None
    path = tmp_path / "some.json"
    path.write_text('{"method": "simulated", "knees": 6, "repeats": 20, "regions": {"p/q": {"sdc_mm": 0.1}}}')
    known = read_reproducibility(path)
    assert (known.sdc_mm("p", "q"), known.sdc_mm("p", "all"), known.knees) == (0.1, None, 6)


def test_repeatability_applies_only_to_the_measured_model() -> None:
    first, second, _, _ = thickened()
    default, cascade = (model.identity() for model in built_in_models())
    identity = default
    one, other = (replace(knee, model=identity) for knee in (first, second))
    known = known_of(one, other)
    assert (known.model, known.digests) == (identity.id, identity.digests)
    assert known.sdc_mm("femoral_cartilage", "all") is not None
    older = replace(other, model=replace(identity, digests={**identity.digests, "weights": "of before"}))
    assert known_of(one, older) == known_of(older, older) == NOTHING_KNOWN
    assert cascade.digests == default.digests
    assert known_of(replace(one, model=cascade), replace(other, model=cascade)) == NOTHING_KNOWN
    given = replace(first, model=ModelIdentity(id="given:oai", source=GIVEN, digests={}))
    assert known_of(given, given) == NOTHING_KNOWN


def test_models_of_one_id_with_folds_exchanged_are_two_models() -> None:
    first, second, _, _ = thickened()
    folds = {"fold_0/checkpoint_final.pth": "a", "fold_1/checkpoint_final.pth": "b"}
    exchanged = dict(zip(folds, reversed(folds.values()), strict=True))
    one, other = (
        replace(knee, model=ModelIdentity(id="lab", source=INSTALLED, digests=digests))
        for knee, digests in ((first, folds), (second, exchanged))
    )
    warnings = " ".join(compare(one, other, NOTHING_KNOWN).warnings)
    assert "two different models (both lab, with other weights)" in warnings
    assert "different models" not in " ".join(compare(one, replace(other, model=one.model), NOTHING_KNOWN).warnings)


def test_two_different_models_have_no_smallest_detectable_change() -> None:
    first, second, _, _ = thickened()
    knees = [
        replace(knee, model=model.identity()) for knee, model in zip((first, second), built_in_models(), strict=True)
    ]
    assert known_of(*knees) == NOTHING_KNOWN

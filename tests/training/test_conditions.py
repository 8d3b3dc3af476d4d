"""Evaluation in the conditions of real scans: what is drawn, what is measured, and when a requirement is met."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import BONES, Plate, Structure
from pipeline.errors import EmptyStructure
from pipeline.grid import Grid
from pipeline.quantities import DAB, TAB, THC
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.types import Scan, Segmentation
from tests.support.knees import coarse_knee, joint_of
from training.evaluation.__main__ import chosen, first_maps, seed_of
from training.evaluation.changes import DENUDED_CM2, with_denuded_patches, with_menisci
from training.evaluation.conditions import CONDITIONS
from training.evaluation.effusion import effusion
from training.evaluation.examine import (
    FLUID_IN_CARTILAGE,
    MENISCUS_IN_CARTILAGE,
    PATELLAR_THAT_IS_FLUID,
    Examined,
    Group,
    bone_figures,
    examine,
    fluid_figures,
    meniscus_figures,
)
from training.evaluation.figures import Bar, Statistic, figures_of, outcome
from training.evaluation.grids import Plane, resampled
from training.evaluation.marrow import open_growth_plates
from training.evaluation.record import Record
from training.evaluation.scan import Recipe, Rendered, averaged_scan
from training.evaluation.sequences import DESS, PD, PD_FS, T1, T2_FS
from training.evaluation.table import Row, content, lines
from training.generator.materials import MENISCI, PLATES
from training.knee_unet.agreement import region_values
from training.render import QUIET
from training.signal import Kind

VOXEL_MM = 1.2


@cache
def knee() -> Segmentation:
    return resampled(joint_of(coarse_knee()), (VOXEL_MM,) * 3)


def quiet(recipe: Recipe) -> Recipe:
    """The recipe without noise and receive field."""
    return replace(recipe, sequence=replace(recipe.sequence, scanner=QUIET), voxel_mm=VOXEL_MM)


def level(sequence: object, kind: Kind) -> float:
    tissue = sequence.tissues[kind]
    return float(sequence.model(tissue, np.array([tissue.t2_ms]))[0, 0])


def test_tissues_have_the_order_of_grey_values_of_each_sequence() -> None:
    for sequence in (PD_FS, T2_FS, DESS):
        assert level(sequence, Kind.FLUID) > level(sequence, Kind.CARTILAGE) > 2 * level(sequence, Kind.MARROW)
    assert level(T2_FS, Kind.FLUID) > 3 * level(T2_FS, Kind.CARTILAGE)
    for sequence in (T1, PD):
        assert level(sequence, Kind.MARROW) > level(sequence, Kind.CARTILAGE) > 4 * level(sequence, Kind.MENISCUS)
    assert level(T1, Kind.FLUID) < level(T1, Kind.CARTILAGE)


def test_effusion_touches_every_plate_and_replaces_no_structure() -> None:
    wet = effusion(knee().labels, knee().grid, np.random.default_rng(1))
    assert not (wet & (knee().labels > 0)).any()
    for plate in PLATES:
        cartilage = np.argwhere(knee().labels == plate)
        neighbours = np.concatenate([cartilage + step for axis in range(3) for step in (np.eye(3, dtype=int)[axis],)])
        neighbours = np.clip(neighbours, 0, np.array(wet.shape) - 1)
        assert wet[tuple(neighbours.T)].any(), plate.key


@pytest.mark.slow
def test_effusion_is_bright_in_the_image_and_known_to_the_truth() -> None:
    recipe = quiet(Recipe(sequence=T2_FS, changes=(with_menisci,), bathed=True))
    wet = recipe.scan(knee(), 3)
    dry = replace(recipe, bathed=False).scan(knee(), 3)
    assert dry.fluid is None
    assert wet.fluid is not None
    inside = wet.scan.echoes[0][wet.fluid]
    cartilage = wet.scan.echoes[0][wet.truth.mask(*PLATES)]
    assert np.median(inside) > 2.5 * np.median(cartilage)
    assert wet.truth.mask(*MENISCI).any()


@pytest.mark.slow
@pytest.mark.parametrize("plane", list(Plane))
def test_slices_of_any_plane_show_the_knee_where_it_was_drawn(plane: Plane) -> None:
    found = quiet(Recipe(sequence=PD, plane=plane, slices=3)).scan(knee(), 3)
    assert found.scan.grid.spacing_mm == pytest.approx((3 * VOXEL_MM, VOXEL_MM, VOXEL_MM))
    femur, drawn = (
        one.grid.to_mm(np.argwhere(one.labels == Structure.FEMUR)).mean(0) for one in (found.truth, found.drawn)
    )
    assert np.linalg.norm(femur - drawn) < VOXEL_MM
    marrow, outside = found.scan.echoes[0][found.truth.mask(Structure.FEMUR)], found.scan.echoes[0].mean()
    assert np.median(marrow) > outside


def test_an_even_number_of_voxels_has_no_central_slice() -> None:
    with pytest.raises(ValueError, match="odd"):
        quiet(Recipe(sequence=PD, slices=2)).scan(knee(), 3)


@pytest.mark.slow
def test_open_growth_plates_are_bright_lines_in_bone_on_fat_suppressed_scans() -> None:
    plain, recipe = quiet(Recipe(sequence=PD_FS)), quiet(Recipe(sequence=PD_FS, in_bone=open_growth_plates))
    closed, opened = plain.scan(knee(), 3), recipe.scan(knee(), 3)
    change = opened.scan.echoes[0] - closed.scan.echoes[0]
    assert np.array_equal(opened.truth.labels, closed.truth.labels)
    assert not change[~opened.truth.mask(*BONES)].any()
    bright = change > 0.5 * np.median(closed.scan.echoes[0][closed.truth.mask(*PLATES)])
    assert 0.002 < bright[opened.truth.mask(Structure.FEMUR)].mean() < 0.2


@pytest.mark.slow
def test_a_template_shows_femur_and_tibia_alone() -> None:
    found = averaged_scan(knee(), 3)
    assert Structure.PATELLA not in found.truth.boxes
    image, shown = found.scan.echoes[0], found.truth.labels > 0
    assert image[~shown].mean() < 0.1 * image[shown].mean()


@pytest.mark.slow
def test_denuded_patches_bare_the_bone_of_three_plates() -> None:
    """Of the shares in percent and areas in mm2 as the pipeline measures them; dAB counts patches that are enclosed."""
    whole, bare = region_values(knee()), region_values(with_denuded_patches(knee(), np.random.default_rng(2)))
    for plate, area_cm2 in zip(Plate, DENUDED_CM2.values(), strict=True):
        name = f"{plate}/all"
        covered = [one[TAB.id][name] * (1.0 - one[DAB.id][name] / 100.0) for one in (whole, bare)]
        assert 0.6 * area_cm2[0] < (covered[0] - covered[1]) / 100.0 < 1.3 * area_cm2[1]
    assert bare[DAB.id]["patellar_cartilage/all"] > whole[DAB.id]["patellar_cartilage/all"] + 5.0
    assert whole[THC.id]["femoral_cartilage/all"] > 1.0


GRID = Grid(shape=(40, 40, 40), spacing_mm=(1.0, 1.0, 1.0), origin_mm=np.zeros(3), direction=np.eye(3))


def blocks(**boxes: tuple[slice, slice, slice]) -> Segmentation:
    labels = np.zeros(GRID.shape, np.uint8)
    for key, box in boxes.items():
        labels[box] = Structure[key.upper()]
    return Segmentation(labels=labels, grid=GRID, model_id="")


FEMUR = (slice(5, 35), slice(5, 35), slice(5, 35))


def test_an_intact_bone_has_no_hole_and_one_piece() -> None:
    bone = blocks(femur=FEMUR)
    assert bone_figures(bone, bone) == {
        Group.MISSING: {"femur": 0.0},
        Group.HOLES: {"femur": 0.0},
        Group.PIECES: {"femur": 1.0},
    }


def test_holes_gaps_and_lost_bones_are_measured() -> None:
    true, hollow, broken = blocks(femur=FEMUR), blocks(femur=FEMUR), blocks(femur=FEMUR)
    hollow.labels[18:22, 18:22, 18:22] = 0
    assert bone_figures(hollow, true)[Group.HOLES] == {"femur": 64.0}
    assert bone_figures(hollow, true)[Group.MISSING] == {"femur": 64.0}
    broken.labels[19:21] = 0
    assert bone_figures(broken, true)[Group.PIECES] == {"femur": 2.0}
    lost = bone_figures(blocks(tibia=(slice(0, 2),) * 3), true)
    assert lost[Group.PIECES] == {"femur": 0.0}
    assert lost[Group.MISSING]["femur"] == 24.0**3


def test_fluid_and_menisci_labelled_cartilage_are_counted() -> None:
    found = blocks(patellar_cartilage=(slice(0, 10), slice(0, 10), slice(0, 10)))
    fluid = np.zeros(GRID.shape, bool)
    fluid[5:15, :10, :10] = True
    assert fluid_figures(found, fluid) == {PATELLAR_THAT_IS_FLUID: 50.0, FLUID_IN_CARTILAGE: 50.0}
    truth = blocks(medial_meniscus=(slice(8, 12), slice(0, 10), slice(0, 10)))
    assert meniscus_figures(found, truth) == {MENISCUS_IN_CARTILAGE: 50.0}
    assert meniscus_figures(found, found) == {}


def examined(knee: str, dice: float, failed: str = "") -> Examined:
    values = {} if failed else {Group.DICE.value: {"femur": dice}, Group.THC.value: {"a": 1.0 - dice, "b": dice - 1.0}}
    return Examined(knee=knee, condition="t1", seconds=1.0, failed=failed, values=values)


def test_a_requirement_names_the_worst_knee_and_fails_with_any_failed_knee() -> None:
    knees = [examined("7", 0.98), examined("8", 0.96)]
    bar = Bar(group=Group.DICE, names=("femur",), least=0.97)
    found = outcome(bar, figures_of(knees), failed=0)
    assert (found.value, found.worst, found.worst_knee, found.met) == (pytest.approx(0.97), 0.96, "8", True)
    assert not outcome(bar, figures_of(knees), failed=1).met
    assert not outcome(replace(bar, statistic=Statistic.WORST), figures_of(knees), failed=0).met
    assert not outcome(replace(bar, names=("femur", "tibia")), figures_of(knees), failed=0).met
    with pytest.raises(ValueError, match="no figure"):
        outcome(replace(bar, names=("tibia",)), figures_of(knees), failed=0)


def test_errors_of_both_signs_count_by_their_size() -> None:
    figures = figures_of([examined("7", 0.98), examined("8", 0.90)])
    found = outcome(Bar(group=Group.THC, most=0.05), figures, failed=0)
    assert not found.met
    assert abs(found.value) == pytest.approx(0.06)
    assert figures[Group.THC]["b"].worst == pytest.approx(-0.1)
    assert figures[Group.THC]["b"].rms == pytest.approx(np.sqrt((0.02**2 + 0.1**2) / 2))


def test_a_scan_that_cannot_be_segmented_is_a_result_of_its_condition() -> None:
    def refuse(scan: Scan) -> Segmentation:
        raise EmptyStructure("No femur was found.")

    scan = Scan(echoes=np.zeros((1, *GRID.shape), np.float32), grid=GRID)
    truth = blocks(femur=FEMUR)
    found = examine("7", "t1", Rendered(scan=scan, truth=truth, drawn=truth), refuse, knee_unet().card)
    assert found.failed == "EMPTY_STRUCTURE: No femur was found."
    row = Row(condition=chosen(["t1"])[0], knees=[found, replace(found, knee="8")])
    assert "FAILED 7" in "\n".join(lines([row]))
    assert content([row], "m", {})["conditions"]["t1"]["failed"] == {"7": found.failed, "8": found.failed}


def test_kept_results_hold_for_the_same_weights_and_map_only(tmp_path: Path) -> None:
    path = tmp_path / "7_00m.nii.gz"
    path.write_bytes(b"map")
    record = Record(folder=tmp_path / "kept", model="m", digests={"weights": "1"})
    assert record.read(path, "t1") is None
    kept = replace(examined("7_00m", 0.9), flags=("SIDE_UNCERTAIN",))
    record.write(path, kept)
    assert record.read(path, "t1") == kept
    assert record.read(path, "pd") is None
    assert replace(record, digests={"weights": "2"}).read(path, "t1") is None
    path.write_bytes(b"other map")
    assert record.read(path, "t1") is None


def test_conditions_can_be_chosen_and_unknown_ones_are_refused() -> None:
    ids = [one.id for one in CONDITIONS]
    assert len(set(ids)) == len(ids)
    assert [one.id for one in chosen(["t1", "dess"])] == ["dess", "t1"]
    with pytest.raises(SystemExit, match="unknown condition t9; expected one of dess"):
        chosen(["t9"])


def test_first_visits_of_all_knees_are_measured_before_second_visits() -> None:
    paths = [Path(f"{name}.nii.gz") for name in ("7_00m", "7_96m", "8_00m", "9_00m")]
    assert [path.name.split(".")[0] for _, path in first_maps(paths, 3)] == ["7_00m", "8_00m", "9_00m"]
    assert [number for number, _ in first_maps(paths, None)] == [0, 2, 3, 1]
    assert seed_of("t1", paths[0]) != seed_of("pd", paths[0])

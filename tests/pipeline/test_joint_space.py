"""Joint space between spheres and between planes, whose distance is known, in random poses."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from bench.plateau_phantom import APART_MM, Gap, gap_phantom, tibia_of
from pipeline.alignment import align_knee
from pipeline.anatomy import TIBIA_LATERAL, TIBIA_MEDIAL, Side, Structure
from pipeline.joint_space import NARROW_MM, joint_space, measure_joint_space
from pipeline.menisci import measure_menisci
from pipeline.plateau import in_plate, plateau_of
from pipeline.regions import subregions
from pipeline.surface import bone_surface, bone_surfaces
from pipeline.thickness import thickness_maps
from pipeline.types import Segmentation
from tests.support.knees import turned_knee

PLATE_MM = 9.0


def rows_of(knee: Segmentation, side: Side) -> dict[tuple[str, str], float]:
    tibia = tibia_of(knee)
    rows = measure_joint_space(bone_surface(knee, Structure.FEMUR), tibia, plateau_of(tibia, side))
    return {(row.region, f"{row.quantity} {row.statistic}"): row.value for row in rows}


@pytest.mark.parametrize(("side", "seed"), [(Side.RIGHT, 1), (Side.LEFT, 3), (Side.RIGHT, 5)])
def test_the_distance_between_two_spheres_is_found_in_the_middle_of_the_plate(side: Side, seed: int) -> None:
    gap = Gap(medial_mm=3.0, lateral_mm=4.5, tibia_mm=80.0, femur_mm=30.0)
    rows = rows_of(gap_phantom(gap, side, seed, PLATE_MM), side)
    for region, truth in ((TIBIA_MEDIAL, gap.medial_mm), (TIBIA_LATERAL, gap.lateral_mm)):
        # smoothing moves the surface of a sphere inwards by its variance divided by the radius: here 0.02 mm in all
        assert rows[region.name, "joint_space min"] == pytest.approx(truth, abs=0.05)
        assert rows[region.name, "joint_space_ap share"] == pytest.approx(50.0, abs=10.0)
        assert rows[region.name, "joint_space_ml share"] == pytest.approx(50.0, abs=10.0)
        assert rows[region.name, "joint_space_narrow share"] == 0.0


@pytest.mark.parametrize(("side", "seed"), [(Side.RIGHT, 4), (Side.LEFT, 5)])
def test_the_distance_between_two_tilted_planes_is_found_at_the_edge_of_the_plate(side: Side, seed: int) -> None:
    gap = Gap(medial_mm=4.0, medially_deg=3.0)
    rows = rows_of(gap_phantom(gap, side, seed, PLATE_MM), side)
    slope, shortened = math.tan(math.radians(gap.medially_deg)), math.cos(math.radians(gap.medially_deg))
    for region, middle, place in ((TIBIA_MEDIAL, 0.0, 0.0), (TIBIA_LATERAL, -2 * APART_MM, 100.0)):
        least = gap.medial_mm + slope * (middle - PLATE_MM)
        assert rows[region.name, "joint_space min"] == pytest.approx(least * shortened, abs=0.05)
        assert rows[region.name, "joint_space mean"] == pytest.approx((least + slope * PLATE_MM) * shortened, abs=0.05)
        assert rows[region.name, "joint_space_ml share"] == pytest.approx(place, abs=4.0)
        share = 100.0 * part_of_disc((NARROW_MM / shortened - least) / slope / PLATE_MM - 1.0)
        assert rows[region.name, "joint_space_narrow share"] == pytest.approx(share, abs=2.0)


def part_of_disc(cut: float) -> float:
    """Area share of a disc of radius 1 below a line at `cut` from its centre."""
    cut = min(max(cut, -1.0), 1.0)
    return 0.5 + (cut * math.sqrt(1 - cut**2) + math.asin(cut)) / math.pi


@pytest.mark.parametrize(("side", "seed"), [(Side.RIGHT, 6), (Side.LEFT, 7)])
def test_a_joint_space_that_is_narrow_in_front_is_found_in_front(side: Side, seed: int) -> None:
    rows = rows_of(gap_phantom(Gap(medial_mm=4.0, backwards_deg=4.0), side, seed, PLATE_MM), side)
    for region in (TIBIA_MEDIAL, TIBIA_LATERAL):
        assert rows[region.name, "joint_space_ap share"] == pytest.approx(0.0, abs=4.0)


def test_the_map_covers_the_plates_and_nothing_else() -> None:
    knee = gap_phantom(Gap(medial_mm=3.0, lateral_mm=4.5, tibia_mm=80.0, femur_mm=30.0), Side.RIGHT, 1, PLATE_MM)
    tibia = tibia_of(knee)
    distance = joint_space(bone_surface(knee, Structure.FEMUR), tibia)
    inside = in_plate(tibia, TIBIA_MEDIAL) | in_plate(tibia, TIBIA_LATERAL)
    assert (np.isfinite(distance) == inside).all()


def test_a_missing_plate_has_no_joint_space() -> None:
    knee = gap_phantom(Gap(medial_mm=4.0), Side.RIGHT, 1, PLATE_MM)
    labels = np.where(knee.mask(Structure.LATERAL_TIBIAL_CARTILAGE), np.uint8(0), knee.labels)
    rows = rows_of(replace(knee, labels=labels), Side.RIGHT)
    assert math.isnan(rows["lateral", "joint_space min"])
    assert rows["medial", "joint_space min"] == pytest.approx(4.0, abs=0.05)
    assert math.isnan(rows["medial", "joint_space_ap share"]), "without both plates there are no axes"


@pytest.mark.slow
def test_the_measures_of_the_joint_take_less_than_one_second_of_processor_time() -> None:
    knee = turned_knee()
    bones = bone_surfaces(knee)
    alignment = align_knee(bones[0])
    parts = subregions(knee, alignment)
    tibia = thickness_maps(bones[1], knee, parts, 0.3125)[0]
    start = time.process_time()
    plateau = plateau_of(tibia, alignment.side)
    measure_joint_space(bones[0], tibia, plateau)
    measure_menisci(knee, plateau)
    assert time.process_time() - start < 1.0

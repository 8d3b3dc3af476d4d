"""Subregions of plates of known shape, of knees and their mirror images, and of turned knees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.alignment import align_knee
from pipeline.anatomy import PLATE_ON, SUBREGION_SCHEME, Plate, Region, Structure
from pipeline.anatomy.subregions import CMF, CONDYLE, LP, LTR, MP, MTR, PLF, PMF, TIBIA
from pipeline.grid import FloatArray
from pipeline.quantities import PRIMARY
from pipeline.regions import TILT_DEG, split_compartments, subregions, tilted
from pipeline.subregions import FemoralDivision, PatellarDivision, PlateSample, TibialDivision, divide_plates
from pipeline.surface import bone_surfaces
from pipeline.thickness import thickness_of_bones
from pipeline.types import LabelArray, Segmentation, ThicknessMap
from tests.support.knees import coarse_knee, mirrored

STEP_MM = 0.15


def flat(inside, reach_mm: float) -> FloatArray:
    """(n, 3): one point in every cell of a square lattice in the plane z = 0 where `inside(x, y)`."""
    line = np.arange(-reach_mm, reach_mm, STEP_MM)
    place = np.random.default_rng(17).uniform(-STEP_MM / 2, STEP_MM / 2, (2, len(line) ** 2))
    x, y = (values.ravel() + shift for values, shift in zip(np.meshgrid(line, line), place, strict=True))
    here = inside(x, y)
    return np.stack([x[here], y[here], np.zeros(here.sum())], axis=1)


def sample(points: FloatArray, normal: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> PlateSample:
    n = len(points)
    return PlateSample(points=points, normals=np.tile(normal, (n, 1)), areas_mm2=np.full(n, STEP_MM**2))


def sector(low: float, high: float, semi_axes: tuple[float, float]) -> float:
    """Share of an ellipse between two directions (radians from its first axis) of less than half a turn."""
    a, b = semi_axes
    steps = np.unwrap([np.arctan2(np.sin(angle) / b, np.cos(angle) / a) for angle in (low, high)])
    return float(steps[1] - steps[0]) / (2 * np.pi)


def shares(labels: LabelArray, regions: Mapping[str, Region]) -> dict[str, float]:
    return {part: float((labels == region.label).mean()) for part, region in regions.items()}


@pytest.mark.parametrize("side", [0, 1], ids=["medial", "lateral"])
@pytest.mark.parametrize("seed", range(6))
def test_an_elliptical_plate_is_divided_into_areas_that_are_known(seed: int, side: int) -> None:
    """Two plates at an angle to each other, in a frame that is turned at random; seed 0: discs."""
    random = np.random.default_rng(seed)
    a, b = (15.0, 15.0) if seed == 0 else (random.uniform(17, 24), random.uniform(11, 16))
    tilt = Rotation.from_euler("xyz", random.uniform(-12, 12, 3), degrees=True).as_matrix()
    spin = Rotation.from_euler("z", random.uniform(-90, 90), degrees=True).as_matrix()
    pose = Rotation.from_euler("xyz", random.uniform(-20, 20, 3), degrees=True).as_matrix()
    plate = flat(lambda x, y: (x / a) ** 2 + (y / b) ** 2 < 1, 26.0) @ (pose @ tilt @ spin).T
    other = pose @ np.array([-48.0 * (1 - 2 * side), random.uniform(-6, 6), random.uniform(-3, 3)])
    division = TibialDivision.of(sample(plate), side, other)
    labels = division.labels(plate)
    axes = pose @ tilt @ spin
    outward = -other @ axes
    line = float(np.arctan2(outward[1], outward[0]))
    expected = {
        "external": sector(line - np.pi / 4, line + np.pi / 4, (a, b)),
        "internal": sector(line + 3 * np.pi / 4, line + 5 * np.pi / 4, (a, b)),
    }
    found = shares(labels, TIBIA[side])
    assert found["central"] == pytest.approx(0.2, abs=0.002)
    for part, share in expected.items():
        assert found[part] == pytest.approx(0.8 * share, rel=0.01), part
    assert found["anterior"] == pytest.approx((0.8 - 0.8 * sum(expected.values())) / 2, rel=0.01)
    assert found["posterior"] == pytest.approx(found["anterior"], rel=0.01)
    centre = {part: plate[labels == region.label].mean(axis=0) for part, region in TIBIA[side].items()}
    assert np.linalg.norm(centre["central"]) < 0.05
    assert np.linalg.norm(centre["external"] - other) > np.linalg.norm(centre["internal"] - other)
    assert centre["posterior"][1] > centre["anterior"][1]


def test_without_the_other_plate_the_medial_axis_of_the_knee_takes_its_place() -> None:
    disc = flat(lambda x, y: x**2 + y**2 < 15.0**2, 16.0)
    for side, sign in ((0, 1), (1, -1)):
        labels = TibialDivision.of(sample(disc), side, None).labels(disc)
        assert sign * disc[labels == TIBIA[side]["external"].label, 0].mean() > 5.0


def horseshoe(x: FloatArray, y: FloatArray) -> np.ndarray:
    """Trochlea (y < 0) with a notch whose edge is a parabola, and two condyles 20 mm wide that end at 40 and 30 mm."""
    trochlea = (np.abs(x) < 28) & (y >= -30) & (y < np.minimum(x**2, 64) / 8)
    medial = (x >= 8) & (x < 28) & (y >= 0) & (y < 40)
    lateral = (x <= -8) & (x > -28) & (y >= 0) & (y < 30)
    return trochlea | medial | lateral


@pytest.mark.parametrize("share", [0.6, 0.75])
def test_a_condyle_bears_weight_up_to_a_share_of_the_way_to_its_own_end(share: float) -> None:
    points = flat(horseshoe, 42.0)
    points[:, 2] = 0.3 * points[:, 1]  # the posterior end is the highest
    frame = points @ Rotation.from_euler("x", TILT_DEG, degrees=True).as_matrix().T
    assert np.abs(tilted(frame) - points).max() < 1e-9
    division = FemoralDivision.of(sample(frame), share, 0.3)
    assert division is not None
    assert division.notch == pytest.approx((0.0, 0.0), abs=0.2)
    labels = division.labels(frame)
    area = {region: float(np.isin(labels, region.numbers).sum()) * STEP_MM**2 for region in SUBREGION_SCHEME.regions}
    notch_edge = 8**3 / 24
    for side, end in enumerate((40.0, 30.0)):
        whole = 20 * share * end + notch_edge
        thirds = [area[region] for region in CONDYLE[side].values()]
        assert sum(thirds) == pytest.approx(whole, rel=0.015)
        assert thirds == pytest.approx([whole / 3] * 3, rel=0.02)
        assert area[(PMF, PLF)[side]] == pytest.approx(20 * (1 - share) * end, rel=0.015)
    assert area[MTR] == pytest.approx(28 * 30, rel=0.01)
    assert area[LTR] == pytest.approx(28 * 30, rel=0.01)
    across = {part: np.abs(points[labels == region.label, 0]).mean() for part, region in CONDYLE[1].items()}
    assert across["internal"] < across["central"] < across["external"]


@pytest.mark.parametrize("seed", range(4))
def test_patellar_facets_meet_at_the_ridge(seed: int) -> None:
    random = np.random.default_rng(seed)
    offset, slope = random.uniform(-4, 5), random.uniform(-0.2, 0.2)
    points = flat(lambda x, y: (x / 21) ** 2 + (y / 16) ** 2 < 1, 22.0)
    beyond = points[:, 0] - offset - slope * points[:, 1]
    medial = beyond > 0
    points[:, 2] = -0.01 * points[:, 1] ** 2 - np.where(medial, 0.32 * beyond, -0.24 * beyond)
    points[:, 2] += random.normal(0, 0.15, len(points))
    posterior = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])  # x medial, y up, height backwards
    pose = Rotation.from_euler("xyz", random.uniform(-10, 10, 3), degrees=True).as_matrix()
    placed = points @ (pose @ posterior.T).T
    labels = PatellarDivision.of(sample(placed, tuple(pose @ [0.0, 1.0, 0.0]))).labels(placed)
    assert set(np.unique(labels)) == {MP.label, LP.label}
    assert (labels == MP.label).mean() == pytest.approx(medial.mean(), rel=0.02)
    assert ((labels == MP.label) == medial).mean() > 0.97


@cache
def divided_knee(kind: str, share: float = 0.6) -> tuple[dict[str, ThicknessMap], LabelArray, Segmentation]:
    """Bone -> its map, the voxels, and the knee: `right`, `left` (its mirror image) or `turned` in the scanner."""
    knee = coarse_knee()
    if kind == "left":
        knee = mirrored(knee)
    if kind == "turned":
        turn = Rotation.from_euler("xyz", (20, 15, 25), degrees=True).as_matrix()
        grid = replace(knee.grid, direction=turn @ knee.grid.direction, origin_mm=turn @ knee.grid.origin_mm)
        knee = replace(knee, grid=grid)
    surfaces = bone_surfaces(knee)
    alignment = align_knee(surfaces[0])
    knee = split_compartments(knee, alignment)
    maps = thickness_of_bones(surfaces, knee, subregions(knee, alignment), 0.3125)
    maps, voxels = divide_plates(maps, knee, alignment, share)
    return {item.surface.structure.key: item for item in maps if item.method is PRIMARY}, voxels, knee


def figures(maps: Mapping[str, ThicknessMap]) -> dict[str, tuple[float, float]]:
    """Subregion -> area (mm2) and mean thickness (mm)."""
    found = {}
    for region in SUBREGION_SCHEME.regions:
        item = maps[region.plate.bone.key]
        here = np.isin(item.subregion, region.numbers)
        areas = item.surface.vertex_areas_mm2[here]
        found[region.name] = float(areas.sum()), float(np.average(item.thickness_mm[here], weights=areas))
    return found


def test_every_vertex_and_voxel_of_the_plates_has_one_subregion() -> None:
    maps, voxels, knee = divided_knee("right")
    for item in maps.values():
        assert ((item.subregion > 0) == item.in_plate).all()
        numbers = {
            region.label for region in SUBREGION_SCHEME.numbered if region.plate is PLATE_ON[item.surface.structure]
        }
        assert set(np.unique(item.subregion)) - {0} == numbers
    assert ((voxels > 0) == np.isin(knee.labels, [4, 5, 6, 7])).all()
    assert set(np.unique(voxels)) - {0} == {region.label for region in SUBREGION_SCHEME.numbered}


def test_subregions_of_a_knee_have_their_shares_and_thicknesses() -> None:
    found = figures(divided_knee("right")[0])
    for letter in "ML":
        plate = [found[f"{part}{letter}T"][0] for part in "ceiap"]
        assert plate[0] / sum(plate) == pytest.approx(0.2, abs=0.005)
        condyle = found[f"c{letter}F"][0]
        for part in "cei":
            assert found[f"{part}c{letter}F"][0] / condyle == pytest.approx(1 / 3, abs=0.005)
        assert found[f"c{letter}T"][1] > found[f"e{letter}T"][1], "cartilage is thickest in the middle of a plate"


@pytest.mark.parametrize(("kind", "within", "mm"), [("left", 0.03, 0.05), ("turned", 0.01, 0.02)])
def test_mirror_image_and_pose_change_no_subregion(kind: str, within: float, mm: float) -> None:
    """The mirror image has other vertices, 1.2 mm apart in this coarse knee; the turned one has the same."""
    right, other = figures(divided_knee("right")[0]), figures(divided_knee(kind)[0])
    for name, (area, mean) in right.items():
        assert other[name][0] == pytest.approx(area, rel=within), name
        assert other[name][1] == pytest.approx(mean, abs=mm), name


def test_weight_bearing_can_end_at_three_quarters() -> None:
    wide, usual = figures(divided_knee("right", 0.75)[0]), figures(divided_knee("right")[0])
    for letter in "ML":
        assert 1.1 < wide[f"c{letter}F"][0] / usual[f"c{letter}F"][0] < 1.35
        both = [values[f"c{letter}F"][0] + values[f"p{letter}F"][0] for values in (wide, usual)]
        assert both[0] == pytest.approx(both[1])


def test_subregions_lie_in_their_plates_from_front_to_back() -> None:
    maps, _, _ = divided_knee("right")
    femur = maps[Structure.FEMUR.key]
    assert {region.plate for region in SUBREGION_SCHEME.regions} == set(Plate)
    along = [
        float(femur.surface.points_mm[np.isin(femur.subregion, regions)].mean(axis=0) @ _backwards(femur))
        for regions in ((MTR.label, LTR.label), CMF.numbers, (PMF.label, PLF.label))
    ]
    assert all(b > a for a, b in pairwise(along))


def _backwards(femur: ThicknessMap) -> FloatArray:
    """(3,): from the trochlea to the posterior condyles."""
    points = femur.surface.points_mm
    direction = points[femur.subregion == PMF.label].mean(axis=0) - points[femur.subregion == MTR.label].mean(axis=0)
    return direction / np.linalg.norm(direction)

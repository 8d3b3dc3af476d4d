"""The outline of a healthy plate: it finds what was removed from the rim, and adds nothing to a whole plate."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from pipeline.anatomy import CARTILAGE_OF, Side, Structure
from pipeline.grid import FloatArray
from pipeline.plate_outline import PlateOutline, fit_outline, measure_outlines, with_worn_rims, worn_rim
from pipeline.quantities import DAB_OUTLINE, TAB_OUTLINE
from pipeline.subregions import REGIONS_IN
from pipeline.types import Alignment, Measurement, ThicknessMap
from training.reference_plates import reference_maps

ITSELF = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=0.0, residual_other_mm=0.0)
PLATES = [(bone, plate) for bone, plates in CARTILAGE_OF.items() for plate in plates]


@lru_cache(maxsize=1)
def _reference_maps() -> dict[Structure, ThicknessMap]:
    return {item.surface.structure: item for item in reference_maps()}


def reference_map(bone: Structure) -> ThicknessMap:
    """The reference knee's thickness on one bone, in its frame."""
    return _reference_maps()[bone]


def without_third(item: ThicknessMap, plate: Structure, direction: FloatArray) -> ThicknessMap:
    """A third of a plate's area is bare, from the rim: the part furthest along a direction."""
    rows = np.flatnonzero(item.in_plate & np.isin(item.region, REGIONS_IN[plate]))
    order = rows[np.argsort(-(item.surface.points_mm[rows] @ direction))]
    areas = item.surface.vertex_areas_mm2[order]
    gone = order[: np.searchsorted(np.cumsum(areas), areas.sum() / 3)]
    thickness, region = item.thickness_mm.copy(), item.region.copy()
    thickness[gone], region[gone] = np.nan, 0
    return replace(item, thickness_mm=thickness, region=region)


def measured(item: ThicknessMap, alignment: Alignment = ITSELF) -> tuple[Measurement, ...]:
    return measure_outlines(with_worn_rims([item], alignment))


def area(item: ThicknessMap, inside: np.ndarray) -> float:
    return float(item.surface.vertex_areas_mm2[inside].sum())


@pytest.mark.parametrize("bone", CARTILAGE_OF)
def test_whole_plates_have_no_worn_rim(bone: Structure) -> None:
    assert not worn_rim(reference_map(bone), ITSELF).any()


@pytest.mark.parametrize(("bone", "plate"), PLATES)
@pytest.mark.parametrize("direction", [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
def test_a_third_removed_from_the_rim_is_found(
    bone: Structure, plate: Structure, direction: tuple[float, float, float]
) -> None:
    whole = reference_map(bone)
    left = without_third(whole, plate, np.array(direction))
    found = np.isin(worn_rim(left, ITSELF), REGIONS_IN[plate])
    full = area(whole, whole.in_plate & np.isin(whole.region, REGIONS_IN[plate]))
    assert area(whole, found) / full == pytest.approx(1 / 3, abs=0.1)
    removed = np.isin(whole.region, REGIONS_IN[plate]) & (left.region == 0)
    assert area(whole, found & removed) >= 0.8 * area(whole, removed)


def test_area_within_the_outline_does_not_shrink_and_what_was_lost_counts_as_denuded() -> None:
    whole = reference_map(Structure.TIBIA)
    left = without_third(whole, Structure.MEDIAL_TIBIAL_CARTILAGE, np.array([0.0, 1.0, 0.0]))
    before, after = ({(row.quantity, row.region): row.value for row in measured(item)} for item in (whole, left))
    assert after[TAB_OUTLINE.id, "medial"] == pytest.approx(before[TAB_OUTLINE.id, "medial"], rel=0.1)
    assert before[DAB_OUTLINE.id, "medial"] < 1.0
    assert after[DAB_OUTLINE.id, "medial"] == pytest.approx(100 / 3, abs=8.0)
    assert after[TAB_OUTLINE.id, "lateral"] == pytest.approx(before[TAB_OUTLINE.id, "lateral"])


def test_a_left_knee_has_the_outline_of_its_mirror_image() -> None:
    right = without_third(reference_map(Structure.TIBIA), Structure.LATERAL_TIBIAL_CARTILAGE, np.array([0.0, 1.0, 0.0]))
    flip = np.array([-1.0, 1.0, 1.0])
    surface = replace(right.surface, points_mm=right.surface.points_mm * flip, normals=right.surface.normals * flip)
    mirror = replace(ITSELF, matrix=np.diag([-1.0, 1.0, 1.0, 1.0]), side=Side.LEFT)
    ours, theirs = (
        {row.region: row.value for row in measured(item, alignment) if row.quantity == TAB_OUTLINE.id}
        for item, alignment in ((right, ITSELF), (replace(right, surface=surface), mirror))
    )
    assert ours == pytest.approx(theirs, rel=0.01)


def test_only_bones_with_a_plate_have_an_outline() -> None:
    item = reference_map(Structure.PATELLA)
    bare = replace(item, thickness_mm=np.full_like(item.thickness_mm, np.nan), region=np.zeros_like(item.region))
    assert measured(bare) == ()


def test_a_bone_that_does_not_fit_the_reference_has_no_outline_and_no_rows() -> None:
    item = reference_map(Structure.TIBIA)
    stretched = replace(item.surface, points_mm=item.surface.points_mm * [1.0, 3.0, 1.0])
    (found,) = with_worn_rims([replace(item, surface=stretched)], replace(ITSELF, structure=Structure.FEMUR))
    assert found.worn is None
    assert measure_outlines([found]) == ()


@pytest.mark.parametrize("radius", [16.0, 20.0, 23.0])
def test_the_fit_finds_a_circle_of_another_size_of_which_a_quarter_is_lost(radius: float) -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-30.0, 31.0), np.arange(-30.0, 31.0)))
    points = np.stack([x, y, np.zeros_like(x)], axis=1)
    from_centre = np.hypot(x, y)
    circle = PlateOutline(
        rows=np.arange(len(x)),
        mean_mm=np.clip(20.0 - from_centre, -8, 8),
        modes_mm=np.full((len(x), 1), 2.0),
    )
    whole = np.clip(radius - from_centre, -8, 8)
    lost = np.clip(np.minimum(radius - from_centre, radius / 2 - x), -8, 8)  # cut by a straight line
    fitted = fit_outline(circle, points, lost)
    near = np.abs(whole) < 2.0
    assert np.abs(fitted - whole)[near].max() < 0.5

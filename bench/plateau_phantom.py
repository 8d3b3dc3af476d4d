"""Two tibial plates of known shape with menisci of known size, and two bones with a known joint space.

Used by the tests and by the comparison with mskt (bench/peer_menisci.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.anatomy import CARTILAGE_OF, Side, Structure
from pipeline.grid import FloatArray, Grid
from pipeline.quantities import Method
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Alignment, LabelArray, Segmentation, ThicknessMap

SAGITTAL = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns: LPS directions of x, y and z on a sagittal grid, for a right knee."""

SPACING_MM = (0.4, 0.35, 0.35)
OBLIQUE_DEG = 20.0
"""Largest turn about each axis for a gap. Where a grid axis is along a gap, each surface is rounded to voxels
alike over its whole area, by up to half a voxel."""

CARTILAGE_MM = 1.2
APART_MM = 20.0
"""Distance of the centre of each plate from the middle of the knee."""


@dataclass(frozen=True, kw_only=True)
class Wedge:
    """A meniscus: a ring around the centre of its plate, open towards the other plate, that rises outwards.

    inner_mm, outer_mm: radii; low_mm, high_mm: height at the inner and the outer radius; opening_deg: angle of the gap
    """

    inner_mm: float
    outer_mm: float
    low_mm: float = 1.2
    high_mm: float = 6.0
    opening_deg: float = 80.0

    @property
    def share(self) -> float:
        """Of a full ring."""
        return 1.0 - self.opening_deg / 360.0

    def height_mm(self, radius: FloatArray) -> FloatArray:
        """Height at a distance from the centre."""
        slope = (self.high_mm - self.low_mm) / (self.outer_mm - self.inner_mm)
        return self.low_mm + slope * (radius - self.inner_mm)

    @property
    def area_mm2(self) -> float:
        return self.share * np.pi * (self.outer_mm**2 - self.inner_mm**2)

    @property
    def volume_mm3(self) -> float:
        """Integral of the height over the ring."""
        radius = np.linspace(self.inner_mm, self.outer_mm, 2001)
        return self.share * float(np.trapezoid(2 * np.pi * radius * self.height_mm(radius), radius))


@dataclass(frozen=True, kw_only=True)
class Disc:
    """A tibial plate of one radius, and the meniscus on it."""

    radius_mm: float
    meniscus: Wedge

    @property
    def coverage_percent(self) -> float:
        outer = min(self.meniscus.outer_mm, self.radius_mm)
        return 100.0 * self.meniscus.share * (outer**2 - self.meniscus.inner_mm**2) / self.radius_mm**2

    @property
    def extrusion_mm(self) -> float:
        return self.meniscus.outer_mm - self.radius_mm


MEDIAL = Disc(radius_mm=17.0, meniscus=Wedge(inner_mm=8.0, outer_mm=19.5))
LATERAL = Disc(radius_mm=15.0, meniscus=Wedge(inner_mm=6.5, outer_mm=14.0, low_mm=1.4, high_mm=5.0, opening_deg=50.0))
"""An extruded medial meniscus, and a lateral one that ends inside its plate."""


def grid_around(reach_mm: FloatArray, seed: int, most_deg: float = 180.0) -> Grid:
    """A grid, turned and shifted at random, that contains a box of half the size `reach_mm` (3,) around 0."""
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler("xyz", rng.uniform(-most_deg, most_deg, 3), degrees=True).as_matrix()
    direction = turn @ SAGITTAL
    corners = np.array(np.meshgrid(*[(-r, r) for r in reach_mm], indexing="ij")).reshape(3, -1).T @ direction
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = [int(n) for n in np.ceil((high - low)[::-1] / SPACING_MM)]
    shift = rng.uniform(-0.5, 0.5, 3) * SPACING_MM[::-1]
    return Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=SPACING_MM,
        origin_mm=direction @ (low + shift),
        direction=direction,
    )


def segmentation_of(labels: LabelArray, grid: Grid) -> Segmentation:
    return Segmentation(labels=labels.reshape(grid.shape), grid=grid, model_id="phantom")


def world(grid: Grid) -> FloatArray:
    """(3, n): left, posterior, superior of every voxel."""
    return grid.to_mm(np.indices(grid.shape).reshape(3, -1).T).T


def plateau_phantom(medial: Disc, lateral: Disc, side: Side, seed: int) -> Segmentation:
    """A tibia with a flat top, two plates and two menisci. Right knees have the medial plate on the left (LPS)."""
    grid = grid_around(np.array([44.0, 23.0, 8.0]), seed)
    left, posterior, superior = world(grid)
    towards_medial = left if side is Side.RIGHT else -left
    labels = np.zeros(left.shape, dtype=np.uint8)
    labels[(np.abs(left) < 42) & (np.abs(posterior) < 21) & (superior < 0) & (superior > -5)] = Structure.TIBIA
    for disc, sign, plate, meniscus in (
        (medial, 1.0, Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.MEDIAL_MENISCUS),
        (lateral, -1.0, Structure.LATERAL_TIBIAL_CARTILAGE, Structure.LATERAL_MENISCUS),
    ):
        outwards = sign * towards_medial - APART_MM
        radius = np.hypot(outwards, posterior)
        labels[(radius < disc.radius_mm) & (superior >= 0) & (superior < CARTILAGE_MM)] = plate
        wedge = disc.meniscus
        open_ = np.abs(np.degrees(np.arctan2(posterior, -outwards))) < wedge.opening_deg / 2
        above = superior - CARTILAGE_MM
        ring = (radius > wedge.inner_mm) & (radius < wedge.outer_mm) & ~open_
        labels[ring & (above >= 0) & (above < wedge.height_mm(radius))] = meniscus
    return segmentation_of(labels, grid)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Two pairs of spheres or two planes, bone against bone.

    tibia_mm, femur_mm: radii of the spheres; None: planes
    medial_mm, lateral_mm: gap at the centre of each plate, along the superior axis; planes: at the medial centre
    medially_deg, backwards_deg: tilt of the femoral plane, which then rises towards medial, and towards posterior
    """

    medial_mm: float
    lateral_mm: float = 0.0
    tibia_mm: float | None = None
    femur_mm: float | None = None
    medially_deg: float = 0.0
    backwards_deg: float = 0.0


def gap_phantom(gap: Gap, side: Side, seed: int, plate_mm: float) -> Segmentation:
    """A tibia and a femur with a known gap, and cartilage of 1 mm on the tibia within plate_mm of two centres."""
    wide, deep = APART_MM + plate_mm + 4.0, plate_mm + 4.0
    grid = grid_around(np.array([wide + 1.0, deep + 1.0, 9.0]), seed, OBLIQUE_DEG)
    left, posterior, superior = world(grid)
    towards_medial = left if side is Side.RIGHT else -left
    outwards = np.abs(towards_medial) - APART_MM
    radius = np.hypot(outwards, posterior)
    inside = (np.abs(left) < wide) & (np.abs(posterior) < deep)
    top = np.zeros_like(radius) if gap.tibia_mm is None else _cap(gap.tibia_mm, radius)
    if gap.femur_mm is None:
        tilt = np.tan(np.radians([gap.medially_deg, gap.backwards_deg]))
        bottom = gap.medial_mm + tilt[0] * (towards_medial - APART_MM) + tilt[1] * posterior
    else:
        bottom = np.where(towards_medial > 0, gap.medial_mm, gap.lateral_mm) - _cap(gap.femur_mm, radius)
    labels = np.zeros(left.shape, dtype=np.uint8)
    labels[inside & (superior < top) & (superior > -5)] = Structure.TIBIA
    labels[inside & (superior > bottom) & (superior < 8)] = Structure.FEMUR
    plate = (labels == 0) & (radius < plate_mm) & (superior >= top) & (superior < top + 1.0)
    labels[plate & (towards_medial > 0)] = Structure.MEDIAL_TIBIAL_CARTILAGE
    labels[plate & (towards_medial <= 0)] = Structure.LATERAL_TIBIAL_CARTILAGE
    return segmentation_of(labels, grid)


def _cap(sphere_mm: float, radius: FloatArray) -> FloatArray:
    """Height of a sphere below its pole, negative, at a distance from the axis through the pole."""
    return np.sqrt(np.maximum(sphere_mm**2 - radius**2, 0.0)) - sphere_mm


def tibia_of(segmentation: Segmentation, method: Method = Method.UNION) -> ThicknessMap:
    """The thickness map of its tibia, each plate with its region."""
    regions = np.where(segmentation.mask(*CARTILAGE_OF[Structure.TIBIA]), segmentation.labels, 0)
    maps = thickness_maps(bone_surface(segmentation, Structure.TIBIA), segmentation, regions.astype(np.uint8), 0.3125)
    return next(item for item in maps if item.method is method)


def alignment(side: Side) -> Alignment:
    return Alignment(matrix=np.eye(4), side=side, residual_mm=0.5, residual_other_mm=2.0)

"""Cartilage of known thickness on spheres, ellipsoids and slabs, voxelised on rotated, shifted, anisotropic grids.

Used by the tests; `make bench` prints the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pipeline.anatomy import Structure
from pipeline.grid import FloatArray, Grid
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Segmentation, ThicknessMap

SPACING_MM: Final = (0.7, 0.3646, 0.3646)
"""(z, y, x) of the Osteoarthritis Initiative's DESS series."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom:
    """A bone with cartilage of known thickness at every point.

    semi_axes_mm (3,): of the bone, in its local frame; rotation (3, 3): local frame -> LPS; centre_mm (3,) LPS.
    """

    segmentation: Segmentation
    semi_axes_mm: FloatArray
    thickness_mm: float
    rotation: FloatArray
    centre_mm: FloatArray

    def true_thickness(self, points_mm: FloatArray) -> FloatArray:
        """(n,) mm: along the true normal at the foot of each point, from the inner to the outer ellipsoid."""
        inner, outer = self.semi_axes_mm, self.semi_axes_mm + self.thickness_mm
        foot = (points_mm - self.centre_mm) @ self.rotation
        for _ in range(30):  # project along the gradient to the inner ellipsoid
            value, gradient = ((foot / inner) ** 2).sum(axis=1) - 1, 2 * foot / inner**2
            foot -= (value / (gradient**2).sum(axis=1))[:, None] * gradient
        normal = foot / inner**2
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        a = ((normal / outer) ** 2).sum(axis=1)
        b = (foot * normal / outer**2).sum(axis=1)
        c = ((foot / outer) ** 2).sum(axis=1) - 1
        length: FloatArray = (-b + np.sqrt(b * b - a * c)) / a
        return length


def ellipsoid(
    semi_axes_mm: tuple[float, float, float],
    thickness_mm: float,
    seed: int,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
) -> Phantom:
    """An ellipsoidal bone (a sphere where the axes are equal) covered with cartilage, at a random rotation and
    position.
    """
    random = np.random.default_rng(seed)
    axes = np.array(semi_axes_mm)
    reach = 2 * (axes.max() + thickness_mm + 2.0)
    shape = [int(reach / s) + 1 for s in spacing_mm]
    grid = Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=spacing_mm,
        origin_mm=random.uniform(-50, 50, 3),
        direction=Rotation.random(rng=random).as_matrix(),
    )
    centre = grid.to_mm([(np.array(shape) - 1) / 2 + random.uniform(-0.5, 0.5, 3)])[0]
    rotation = Rotation.random(rng=random).as_matrix()
    local = (grid.to_mm(np.indices(grid.shape).reshape(3, -1).T) - centre) @ rotation
    bone = ((local / axes) ** 2).sum(axis=1) < 1
    plate = (((local / (axes + thickness_mm)) ** 2).sum(axis=1) < 1) & ~bone
    return Phantom(
        segmentation=_labelled(bone, plate, grid),
        semi_axes_mm=axes,
        thickness_mm=thickness_mm,
        rotation=rotation,
        centre_mm=centre,
    )


def slab(
    thickness_mm: float, seed: int, spacing_mm: tuple[float, float, float] = SPACING_MM
) -> tuple[Segmentation, FloatArray]:
    """A flat block of bone under a flat plate of cartilage at a random tilt: (segmentation, unit normal (3,) LPS).

    The bone ends 12 mm inside the image on every side except under the plate, so that edges can be excluded.
    """
    random = np.random.default_rng(seed)
    shape = [int(60 / s) for s in spacing_mm]
    grid = Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=spacing_mm,
        origin_mm=random.uniform(-50, 50, 3),
        direction=Rotation.random(rng=random).as_matrix(),
    )
    axes = Rotation.random(rng=random).as_matrix()
    centre = grid.to_mm([(np.array(shape) - 1) / 2 + random.uniform(-0.5, 0.5, 3)])[0]
    across, along, up = ((grid.to_mm(np.indices(grid.shape).reshape(3, -1).T) - centre) @ axes).T
    inside = (np.abs(across) < 15) & (np.abs(along) < 15)
    bone = inside & (up < 0) & (up > -10)
    plate = inside & (up >= 0) & (up < thickness_mm)
    return _labelled(bone, plate, grid), axes[:, 2]


def _labelled(bone: NDArray[np.bool_], plate: NDArray[np.bool_], grid: Grid) -> Segmentation:
    labels = np.zeros(len(bone), dtype=np.uint8)
    labels[bone], labels[plate] = Structure.FEMUR, Structure.FEMORAL_CARTILAGE
    return Segmentation(labels=labels.reshape(grid.shape), grid=grid, model_id="phantom")


def measured(segmentation: Segmentation, variance_mm2: float = 0.3125) -> tuple[ThicknessMap, ThicknessMap]:
    """Both thickness methods on the phantom's bone: (union, two_crossing)."""
    surface = bone_surface(segmentation, Structure.FEMUR)
    return thickness_maps(surface, segmentation, segmentation.labels, variance_mm2)


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Errors of a thickness map, mm; missed: percentage of vertices without a thickness."""

    bias: float
    rmse: float
    missed: float


def errors(thickness_mm: FloatArray, truth_mm: FloatArray) -> Errors:
    """Errors at the vertices with a thickness."""
    found = thickness_mm > 0
    off = (thickness_mm - truth_mm)[found]
    return Errors(
        bias=float(off.mean()),
        rmse=float(np.sqrt((off**2).mean())),
        missed=float(100 * (1 - found.mean())),
    )


def slab_errors(
    thickness_mm: float, seed: int, spacing_mm: tuple[float, float, float] = SPACING_MM
) -> dict[str, Errors]:
    """Errors per method over the centre of a slab, at least 5 mm from its edges."""
    segmentation, up = slab(thickness_mm, seed, spacing_mm)
    maps = measured(segmentation)
    surface = maps[0].surface
    facing = surface.normals @ up > 0.95
    centre = surface.points_mm[facing].mean(axis=0)
    offset = surface.points_mm - centre
    aside = np.linalg.norm(offset - np.outer(offset @ up, up), axis=1)
    middle = facing & (aside < 9) & (np.abs(offset @ up) < 2)
    return {m.method: errors(m.thickness_mm[middle], np.full(int(middle.sum()), thickness_mm)) for m in maps}


def ellipsoid_errors(phantom: Phantom) -> dict[str, Errors]:
    """Errors per method over the whole phantom."""
    maps = measured(phantom.segmentation)
    truth = phantom.true_thickness(maps[0].surface.points_mm)
    return {m.method: errors(m.thickness_mm, truth) for m in maps}

"""Diseased cartilage and bone as changes of a label map: denuded patches, thinning, fibrillation, osteophytes.

Every function returns a new map on the same isotropic grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.generator.materials import BONE_OF_PLATE
from training.generator.space import Mask, box_around, noise_on
from training.limb import Field

Keep = Callable[[Field, Field], Field]
NORMAL_SD_VOXELS = 1.5
"""SD of the smoothing from which normals of the bone are computed."""
PATCH_MM = 8.0
PATCH_BUMPS = 0.15
"""Irregularity of the outline of a patch, relative to its radius."""


def denuded(
    labels: LabelArray, grid: Grid, plate: Structure, area_cm2: float, rng: np.random.Generator
) -> tuple[LabelArray, float]:
    """Remove all cartilage over a patch of bone; also returns the removed area in cm2.

    The patch is centred where much covered bone is near. At most the plate's area is removed. A plate that is absent
    changes nothing: area 0.
    """
    found = _plate(labels, plate, grid, rng)
    if found is None:
        return labels, 0.0
    order = np.argsort(found.radius)
    area = np.cumsum(found.area_mm2[order]) / 100.0
    last = min(int(np.searchsorted(area, area_cm2)), len(area) - 1)
    bare = np.zeros(len(order), bool)
    bare[order[: last + 1]] = True
    result = labels.copy()
    result[tuple(found.voxels[bare[found.owner]].T)] = 0
    return result, float(area[last])


def thinned(
    labels: LabelArray, grid: Grid, plate: Structure, left: float, radius_mm: float, rng: np.random.Generator
) -> LabelArray:
    """Keep the deep share `left` of the thickness at the centre of a patch, all of it from radius_mm on."""

    def keep(radius: Field, _: Field) -> Field:
        return np.asarray(left + (1.0 - left) * np.clip(radius / radius_mm, 0.0, 1.0) ** 2, np.float32)

    return _worn(labels, grid, plate, keep, rng)


def fibrillated(
    labels: LabelArray, grid: Grid, plate: Structure, deepest: float, rng: np.random.Generator
) -> LabelArray:
    """Fissures and a rough surface: up to the share `deepest` of the thickness is lost in places of about 2 mm."""

    def keep(_: Field, rough: Field) -> Field:
        return np.asarray(1.0 - deepest * np.clip(rough - 0.3, 0.0, 1.0), np.float32)

    return _worn(labels, grid, plate, keep, rng)


def with_osteophytes(
    labels: LabelArray, grid: Grid, bone: Structure, count: int, rng: np.random.Generator
) -> tuple[LabelArray, int]:
    """Bony spurs of 2 to 6 mm at the edge of the cartilage; also returns their number. Only background is replaced."""
    voxel_mm = grid.spacing_mm[0]
    plates = [plate for plate, owner in BONE_OF_PLATE.items() if owner is bone]
    is_plate = np.isin(labels, [int(p) for p in plates])
    box = box_around(is_plate, round(8.0 / voxel_mm))
    if box is None:
        return labels, 0
    here = labels[box]
    near = ndimage.binary_dilation(is_plate[box], iterations=max(1, round(1.0 / voxel_mm)))
    free = ndimage.binary_dilation(here == 0) & (here == bone)
    places = np.argwhere(free & near)
    if not len(places):
        return labels, 0
    result = labels.copy()
    axes = np.ix_(*(np.arange(n, dtype=np.float32) for n in here.shape))
    drawn = 0
    for place in places[rng.integers(len(places), size=count)]:
        radii = rng.uniform(1.5, 4.0, 3) / voxel_mm
        far = sum(((axis - p) / r) ** 2 for axis, p, r in zip(axes, place, radii, strict=True))
        spur = (np.asarray(far) < 1.0) & (result[box] == 0)
        drawn += bool(spur.any())
        result[box][spur] = bone
    return result, drawn


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plate:
    """The covered bone of a plate (n points) and its cartilage (m voxels).

    voxels    (m, 3) indices in the map; owner: (m,) the covered point nearest to each
    deep_mm   (m,) to the bone; high_mm: (m,) to the free surface
    radius    (n,) mm from the centre of a patch, distorted so that it is irregular
    area_mm2  (n,) of the surface at each point; rough: (m,) noise of 2 mm
    """

    voxels: NDArray[np.intp]
    owner: NDArray[np.intp]
    deep_mm: Field
    high_mm: Field
    radius: Field
    area_mm2: Field
    rough: Field


def _plate(labels: LabelArray, plate: Structure, grid: Grid, rng: np.random.Generator) -> _Plate | None:
    """A plate with a random patch; None if it or its bone is absent."""
    box = box_around(labels == plate, 6)
    if box is None:
        return None
    voxel_mm = grid.spacing_mm[0]
    cartilage, bone = labels[box] == plate, labels[box] == BONE_OF_PLATE[plate]
    contact = bone & ndimage.binary_dilation(cartilage)
    free = ndimage.binary_dilation(cartilage) & ~cartilage & ~bone
    points, inner = np.argwhere(contact), np.argwhere(cartilage)
    if not len(points) or not free.any():
        return None
    tree = cKDTree(points * voxel_mm)
    deep, owner = tree.query(inner * voxel_mm)
    high = cKDTree(np.argwhere(free) * voxel_mm).query(inner * voxel_mm)[0]
    tried = points[rng.integers(len(points), size=12)] * voxel_mm
    centre = tried[int(np.argmax(tree.query_ball_point(tried, PATCH_MM, return_length=True)))]
    bumps = noise_on(contact.shape, voxel_mm, 8.0, rng)[tuple(points.T)]
    rough = noise_on(contact.shape, voxel_mm, 2.0, rng)[tuple(inner.T)]
    return _Plate(
        voxels=inner + np.array([s.start for s in box]),
        owner=owner,
        deep_mm=(deep - 0.5 * voxel_mm).astype(np.float32),
        high_mm=(high - 0.5 * voxel_mm).astype(np.float32),
        radius=(np.linalg.norm(points * voxel_mm - centre, axis=1) * (1.0 + PATCH_BUMPS * bumps)).astype(np.float32),
        area_mm2=_area_of(bone, points, voxel_mm),
        rough=rough,
    )


def _area_of(bone: Mask, points: NDArray[np.intp], voxel_mm: float) -> Field:
    """mm2 of surface that every boundary voxel (n, 3) stands for.

    A plane with the unit normal n has max|n| boundary voxels per squared voxel side, so each stands for 1 / max|n|.
    """
    smooth = ndimage.gaussian_filter(bone.astype(np.float32), NORMAL_SD_VOXELS, mode="nearest")
    normal = np.stack([g[tuple(points.T)] for g in np.gradient(smooth)], -1)
    length = np.linalg.norm(normal, axis=1) + 1e-6
    return np.asarray(voxel_mm**2 * length / np.maximum(np.abs(normal).max(1), 1e-6), np.float32)


def _worn(labels: LabelArray, grid: Grid, plate: Structure, keep: Keep, rng: np.random.Generator) -> LabelArray:
    """Remove the superficial part of the cartilage; keep: (mm from the centre, noise) -> share of thickness kept."""
    found = _plate(labels, plate, grid, rng)
    if found is None:
        return labels
    share = keep(found.radius[found.owner], found.rough)
    result = labels.copy()
    result[tuple(found.voxels[found.deep_mm > share * (found.deep_mm + found.high_mm)].T)] = 0
    return result

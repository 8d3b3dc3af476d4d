"""Distances and boxes on the isotropic grid of an anatomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from pipeline.anatomy import Structure
from pipeline.grid import Box
from pipeline.types import LabelArray
from training.canvas import Lattice
from training.limb import Field, LimbFrame

Mask = NDArray[np.bool_]
Straightened = Callable[[Field], Field]
"""Coordinates (..., 3) in the frame of a flexed limb -> those of the extended limb."""
DEPTH_SD_MM = 0.8
SHAPES_MM = (-69.0, 89.0)
"""Levels between which the long shapes of training/limb.py are defined, with a margin for their random bends."""
_NODE_SD = np.float32(1.5)
"""Interpolation between nodes lowers the SD by about this factor."""


def box_around(mask: Mask, margin: int) -> Box | None:
    """The bounding box of the True voxels, enlarged by a margin and clipped; None if there are none."""
    found = ndimage.find_objects(mask.view(np.uint8))
    if not found or found[0] is None:
        return None
    z, y, x = (
        slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(found[0], mask.shape, strict=True)
    )
    return z, y, x


def is_any(labels: LabelArray, structures: Sequence[Structure]) -> Mask:
    """Where one of the structures is."""
    table = np.zeros(256, bool)
    table[[int(s) for s in structures]] = True
    return np.asarray(table[labels])


def distance_to(mask: Mask, voxel_mm: float) -> Field:
    """Distance (mm) of every voxel to the surface of the True ones; 0 inside; 99 if there are none."""
    if not mask.any():
        return np.full(mask.shape, 99.0, np.float32)
    outside = ndimage.distance_transform_edt(~mask).astype(np.float32)
    return np.asarray(np.maximum(outside - np.float32(0.5), 0.0) * np.float32(voxel_mm))


def surface_depth(mask: Mask, voxel_mm: float) -> Field:
    """Distance (mm) to the surface, negative inside, clipped at about 2.4 mm; exact for a plane."""
    share = ndimage.gaussian_filter(mask.astype(np.float32), DEPTH_SD_MM / voxel_mm, mode="nearest", truncate=3.0)
    return np.asarray(-DEPTH_SD_MM * ndtri(np.clip(share, 1e-3, 1 - 1e-3)), np.float32)


def continued(straightened: Straightened | None) -> Straightened:
    """The same, with the shapes of training/limb.py continued beyond their ends: thigh and calf."""

    def coordinates(uvw: Field) -> Field:
        straight = uvw.copy() if straightened is None else straightened(uvw)
        np.clip(straight[..., 2], *SHAPES_MM, out=straight[..., 2])
        return straight

    return coordinates


def limb_coordinates(lattice: Lattice, frame: LimbFrame, straightened: Straightened) -> Field:
    """(z, y, x, 3) coordinates of the nodes in the frame of the extended limb, mm."""
    points = lattice.points_mm()
    uvw = frame.coordinates(points.reshape(-1, 3)).reshape(points.shape).astype(np.float32)
    return straightened(uvw)


def noise_on(
    shape: tuple[int, ...], spacing_mm: float | tuple[float, ...], cell_mm: float, rng: np.random.Generator
) -> Field:
    """Smooth random field, mean 0, SD about 1, correlated over about cell_mm; spacing_mm: of all axes, or of each."""
    spacing = (spacing_mm,) * len(shape) if isinstance(spacing_mm, float) else spacing_mm
    counts = [max(4, int(np.ceil(n * mm / cell_mm)) + 3) for n, mm in zip(shape, spacing, strict=True)]
    field = rng.standard_normal(counts, dtype=np.float32)
    for axis, (n, mm, count) in enumerate(zip(shape, spacing, counts, strict=True)):
        where = np.arange(n) * (mm / cell_mm)
        low = np.minimum(where.astype(np.intp), count - 2)
        share = (where - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        below = field.take(low, axis)
        field = below + (field.take(low + 1, axis) - below) * (share * share * (3.0 - 2.0 * share))
    return np.asarray(field * _NODE_SD, np.float32)

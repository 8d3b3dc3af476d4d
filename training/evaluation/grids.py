"""Held-out knees on the voxels of a condition, and slices of several voxels."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import Grid
from pipeline.types import LabelArray, Segmentation
from training.knee_unet.rescan import repositioned
from training.knee_unet.specimen import in_network_axes, read_expert_map
from training.render import thick_slices

Mask = NDArray[np.bool_]
Millimetres = tuple[float, float, float]


class Plane(IntEnum):
    """Orientation of slices: the axis across them, in the network's axes (right, anterior, superior)."""

    SAGITTAL = 0
    CORONAL = 1
    AXIAL = 2


def knee_on(path: Path, numbering: str, voxel_mm: Millimetres) -> Segmentation:
    """An expert map on other voxels (resampled). Raises the errors of read_expert_map."""
    return resampled(read_expert_map(path, numbering), voxel_mm)


def resampled(knee: Segmentation, voxel_mm: Millimetres) -> Segmentation:
    """The knee over the same field of view with other voxels, in the network's axes.

    voxel_mm: along (right, anterior, superior)
    """
    labels, grid = in_network_axes(knee.labels, knee.grid)
    turned = Segmentation(labels=np.ascontiguousarray(labels), grid=grid, model_id=knee.model_id)
    a, b, c = (max(2, round(extent / mm)) for extent, mm in zip(grid.extent_mm, voxel_mm, strict=True))
    first = [0.5 * mm / old - 0.5 for mm, old in zip(voxel_mm, grid.spacing_mm, strict=True)]
    fresh = Grid(shape=(a, b, c), spacing_mm=voxel_mm, origin_mm=grid.to_mm([first])[0], direction=grid.direction)
    return repositioned(turned, fresh)


def slices_across(
    image: NDArray[np.float32], labels: LabelArray, fluid: Mask, grid: Grid, plane: Plane, factor: int
) -> tuple[NDArray[np.float32], LabelArray, Mask, Grid]:
    """Average `factor` (odd) voxels across the plane into one slice; labels and fluid are those at the slices' centres.

    The slices become the first axis, as scanners store them.
    """
    if factor % 2 == 0:
        raise ValueError(f"factor must be odd, so that a slice has a central voxel; found {factor}")
    order = (int(plane), *(axis for axis in range(3) if axis != plane))
    moved = Grid(
        shape=tuple(grid.shape[k] for k in order),  # type: ignore[arg-type]
        spacing_mm=tuple(grid.spacing_mm[k] for k in order),  # type: ignore[arg-type]
        origin_mm=grid.origin_mm,
        direction=grid.direction[:, ::-1][:, order][:, ::-1],
    )
    merged, thick = thick_slices(image.transpose(order), moved, factor)
    centres = slice(factor // 2, factor * thick.shape[0], factor)
    middle = np.ascontiguousarray(labels.transpose(order)[centres])
    wet = np.ascontiguousarray(fluid.transpose(order)[centres])
    return np.ascontiguousarray(merged, np.float32), middle, wet, thick

"""Knees from the repository: the average reference knee, and rotated, scaled, mirrored copies of it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from bench.plateau_phantom import SAGITTAL
from pipeline.alignment import REFERENCE_PATH
from pipeline.anatomy import Structure
from pipeline.grid import FloatArray, Grid
from pipeline.image_io import read_label_map
from pipeline.types import Segmentation

SPACING_MM = (1.0, 0.6, 0.6)
"""(z, y, x) spacing of the sagittal grids of the copies: z medial to lateral, y downwards, x towards posterior."""


@lru_cache(maxsize=1)
def reference_knee() -> Segmentation:
    """The average right knee in its frame."""
    found = read_label_map(REFERENCE_PATH)
    return Segmentation(labels=found.labels.astype(np.uint8), grid=found.grid, model_id="reference_knee")


@lru_cache(maxsize=8)
def turned_knee(*, degrees: tuple[float, float, float] = (6.0, -4.0, 9.0), scale: float = 1.06) -> Segmentation:
    """The reference knee rotated, scaled and shifted, stored on an oblique sagittal grid."""
    source = reference_knee()
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * scale
    shift = np.array([25.0, -40.0, 15.0])
    direction = Rotation.from_euler("z", 8, degrees=True).as_matrix() @ SAGITTAL
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in source.grid.shape], indexing="ij")).reshape(3, -1).T
    there = source.grid.to_mm(corners) @ turn.T + shift
    local = there @ direction
    low, high = local.min(axis=0), local.max(axis=0)
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / SPACING_MM))
    grid = Grid(
        shape=(shape[0], shape[1], shape[2]), spacing_mm=SPACING_MM, origin_mm=direction @ low, direction=direction
    )
    return Segmentation(labels=_sampled(source, grid, turn, shift), grid=grid, model_id="turned")


@lru_cache(maxsize=1)
def coarse_knee() -> Segmentation:
    """Every second voxel of the turned knee along each axis: 1/8 of the work."""
    knee = turned_knee()
    labels = np.ascontiguousarray(knee.labels[::2, ::2, ::2])
    z, y, x = knee.grid.spacing_mm
    grid = replace(knee.grid, shape=labels.shape, spacing_mm=(2 * z, 2 * y, 2 * x))
    return replace(knee, labels=labels, grid=grid)


def joint_of(knee: Segmentation) -> Segmentation:
    """The part of a knee around its cartilage and patella, with a margin of 12 mm."""
    inside = np.argwhere(knee.labels >= Structure.PATELLA)
    margin = np.ceil(12.0 / np.array(knee.grid.spacing_mm)).astype(int)
    low = np.maximum(inside.min(axis=0) - margin, 0)
    high = np.minimum(inside.max(axis=0) + margin + 1, knee.labels.shape)
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return replace(knee, labels=np.ascontiguousarray(knee.labels[part]), grid=knee.grid.crop(low, high))


def _sampled(source: Segmentation, grid: Grid, turn: FloatArray, shift: FloatArray) -> np.ndarray:
    """Nearest-neighbour labels of the source, rotated and shifted, on a grid."""
    # index -> mm -> inverse rotation -> index of the source: all affine, so one matrix is sufficient
    matrix = grid.affine
    back = np.linalg.inv(turn)
    source_matrix = np.linalg.inv(source.grid.affine)
    whole = source_matrix[:3, :3] @ back @ matrix[:3, :3]
    offset = source_matrix[:3, :3] @ (back @ (matrix[:3, 3] - shift)) + source_matrix[:3, 3]
    return ndimage.affine_transform(source.labels, whole, offset, output_shape=grid.shape, order=0)


def mirrored(segmentation: Segmentation) -> Segmentation:
    """The other knee: mirrored in LPS x, stored with its last axis flipped so that vertices have another order."""
    grid = segmentation.grid
    mirror = np.diag([-1.0, 1.0, 1.0])
    last = grid.to_mm([[0, 0, grid.shape[2] - 1]])[0]
    flipped = grid.direction * np.array([-1.0, 1.0, 1.0])
    return Segmentation(
        labels=np.ascontiguousarray(segmentation.labels[:, :, ::-1]),
        grid=Grid(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=mirror @ last, direction=mirror @ flipped),
        model_id=segmentation.model_id,
        compartments_apart=segmentation.compartments_apart,
    )


def tibia_unsplit(segmentation: Segmentation) -> Segmentation:
    """The same knee with one label for both tibial plates, as in expert maps."""
    return Segmentation(
        labels=np.where(segmentation.labels == 6, 5, segmentation.labels).astype(np.uint8),
        grid=segmentation.grid,
        model_id=segmentation.model_id,
        compartments_apart=False,
    )

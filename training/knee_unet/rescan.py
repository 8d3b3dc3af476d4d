"""A repeated scan of the same knee: repositioned by some millimetres and degrees, new noise, new receive field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pipeline.acquisition import PulseSequence
from pipeline.grid import Box, Grid
from pipeline.types import Scan, Segmentation
from training.canvas import filled
from training.joint import with_whole_shafts
from training.render import Drawn, render_dess
from training.signal import FREE_FLUID, Properties

SHIFT_MM: Final = 5.0
TURN_DEG: Final = 5.0
EDGE_VOXELS: Final = 0.5
"""SD of the smoothing of a label before interpolation."""
MARGIN: Final = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    """Cartilage that a knee lost: the knee before, on the same grid, and the fluid that replaces the cartilage.

    fluid: None leaves what the renderer draws there, soft tissue of a signal near the cartilage's
    """

    before: Segmentation
    fluid: Properties | None = FREE_FLUID


def scan_again(knee: Segmentation, person: int, visit: int, *, loss: Loss | None = None) -> Scan:
    """A DESS scan of the Osteoarthritis Initiative's protocol; `person` determines the soft tissues, `visit` everything
    else.
    """
    place, receiver = np.random.default_rng((person, visit)).spawn(2)
    laid = repositioned(knee, moved_grid(knee.grid, place))
    drawn = None
    if loss is not None and loss.fluid is not None:
        lost = (repositioned(loss.before, laid.grid).labels > 0) & (laid.labels == 0)
        drawn = Drawn(around=filled(lost, loss.fluid))
    image = render_dess(laid.labels, laid.grid, person, receiver=receiver, drawn=drawn)
    return Scan(echoes=image[None], grid=laid.grid, sequence=PulseSequence.DESS)


def moved_grid(grid: Grid, rng: np.random.Generator) -> Grid:
    """The grid rotated about its centre by up to TURN_DEG about any axis, and shifted by up to SHIFT_MM."""
    turn = Rotation.from_rotvec(_in_ball(rng) * TURN_DEG, degrees=True).as_matrix()
    middle = grid.to_mm([0.5 * (np.array(grid.shape) - 1)])[0]
    origin = turn @ (grid.origin_mm - middle) + middle + _in_ball(rng) * SHIFT_MM
    return Grid(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=origin, direction=turn @ grid.direction)


def repositioned(knee: Segmentation, grid: Grid) -> Segmentation:
    """The knee's labels on another grid: per voxel the largest of the smoothed, linearly interpolated structures.

    Labels at the edge of the old field of view are extended beyond it.
    """
    to_old = np.linalg.inv(knee.grid.affine) @ grid.affine
    to_new = np.linalg.inv(to_old)
    best, rest = np.zeros(grid.shape, np.float32), np.ones(grid.shape, np.float32)
    labels = np.zeros(grid.shape, np.uint8)
    for structure, box in knee.boxes.items():
        wide = [
            slice(max(0, s.start - MARGIN), min(n, s.stop + MARGIN)) for s, n in zip(box, knee.grid.shape, strict=True)
        ]
        mask = (knee.labels[tuple(wide)] == structure).astype(np.float32)
        share = ndimage.gaussian_filter(mask, EDGE_VOXELS, mode="nearest", truncate=3.0)
        target = _target_box(wide, to_new, knee.grid.shape, grid.shape)
        start = np.array([s.start for s in target], np.float64)
        offset = to_old[:3, :3] @ start + to_old[:3, 3] - np.array([s.start for s in wide])
        shape = tuple(s.stop - s.start for s in target)
        value = ndimage.affine_transform(share, to_old[:3, :3], offset, shape, order=1, mode="nearest")
        stronger = value > best[target]
        labels[target][stronger] = structure
        np.maximum(best[target], value, out=best[target])
        rest[target] -= value
    labels[rest > best] = 0
    return Segmentation(labels=with_whole_shafts(labels, grid), grid=grid, model_id=knee.model_id)


def _target_box(wide: list[slice], to_new: NDArray[np.float64], old: tuple[int, ...], new: tuple[int, ...]) -> Box:
    """The part of the new grid that a box of the old one can reach; up to the edge if the box touches an edge."""
    far = 40
    ends = [
        (s.start - (far if s.start == 0 else 0), s.stop + (far if s.stop == n else 0))
        for s, n in zip(wide, old, strict=True)
    ]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
    there = to_new[:3, :3] @ corners + to_new[:3, 3:4]
    low, high = np.floor(there.min(1)).astype(int), np.ceil(there.max(1)).astype(int)
    a, b, c = (
        slice(int(np.clip(lo, 0, n - 1)), int(np.clip(hi, 1, n))) for lo, hi, n in zip(low, high, new, strict=True)
    )
    return a, b, c


def _in_ball(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) uniformly distributed in the unit ball."""
    direction = rng.standard_normal(3)
    return np.asarray(direction / np.linalg.norm(direction) * rng.random() ** (1 / 3))

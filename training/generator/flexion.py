"""Flexion of a knee: the femur turns rigidly about the axis of its posterior condyles, the patella follows.

The tibia stays. The patella turns by about two thirds of the flexion (chosen) and rests on the trochlea at its height,
as the ligament below it keeps its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.anatomy import Structure
from pipeline.grid import FloatArray, Grid
from pipeline.types import LabelArray
from training.generator.space import is_any
from training.limb import Field, LimbFrame

PATELLA_SHARE = 0.65
BEND_MM = 45.0
"""Length along the limb over which soft tissue turns."""
THIGH = (Structure.FEMUR, Structure.FEMORAL_CARTILAGE)
SHANK = (Structure.TIBIA, Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE)
CAP = (Structure.PATELLA, Structure.PATELLAR_CARTILAGE)
TOUCH = 0.002
"""Share of the moved bone that may overlap another: expert maps also touch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hinge:
    """Rotation about the left-right axis of the frame through a centre (v, w), mm; positive: the thigh moves back."""

    centre: FloatArray
    degrees: float

    def turned(self, uvw: FloatArray | Field, share: float | Field = 1.0) -> Field:
        """Points (..., 3) turned by a share of the angle."""
        angle = np.radians(self.degrees) * share
        c, s = np.cos(angle), np.sin(angle)
        v, w = uvw[..., 1] - self.centre[0], uvw[..., 2] - self.centre[1]
        return np.stack([uvw[..., 0], c * v + s * w + self.centre[0], c * w - s * v + self.centre[1]], -1)

    def straightened(self, uvw: Field) -> Field:
        """Coordinates in the extended limb: tissue above the joint is turned back, with a transition over BEND_MM."""
        half = self.turned(uvw, -0.5)
        share = np.clip(0.5 + (half[..., 2] - self.centre[1]) / BEND_MM, 0.0, 1.0)
        return np.asarray(self.turned(uvw, -(share * share * (3.0 - 2.0 * share))), np.float32)


def hinge_of(labels: LabelArray, grid: Grid, frame: LimbFrame, degrees: float) -> Hinge:
    """The axis of the posterior condyles: the centre of a circle through the posterior femoral cartilage."""
    index = np.argwhere(labels == Structure.FEMORAL_CARTILAGE)
    if len(index) < 10:
        raise ValueError("Femoral cartilage is missing; flexion needs it to find the axis of the condyles")
    points = frame.coordinates(grid.to_mm(index[:: max(1, len(index) // 4000)]))[:, 1:]
    back = points[points[:, 0] > 0.5 * (points[:, 0].min() + points[:, 0].max())]
    solution = np.linalg.lstsq(np.c_[2.0 * back, np.ones(len(back))], (back**2).sum(1), rcond=None)[0]
    return Hinge(centre=np.asarray(solution[:2]), degrees=degrees)


def flexed(labels: LabelArray, grid: Grid, frame: LimbFrame, hinge: Hinge) -> LabelArray:
    """Labels of the knee after flexion, on the same grid. Shafts that end at the border continue beyond it.

    The femur is lifted where it would enter the tibia, and the patella shifted to rest on the trochlea.
    """
    if hinge.degrees == 0.0:
        return labels
    result = np.where(is_any(labels, SHANK), labels, 0).astype(np.uint8)
    for part, share, direction, reach in ((THIGH, 1.0, (0.0, 1.0), 4), (CAP, PATELLA_SHARE, (-1.0, 0.0), 24)):
        centre = hinge.centre if part is THIGH else _middle(labels, grid, frame)
        result = _placed(
            result, labels, grid, frame, part, Hinge(centre=centre, degrees=hinge.degrees * share), direction, reach
        )
    return result


def _middle(labels: LabelArray, grid: Grid, frame: LimbFrame) -> FloatArray:
    index = np.argwhere(is_any(labels, CAP))
    if not len(index):
        return np.zeros(2)
    return np.asarray(frame.coordinates(grid.to_mm(index)).mean(0)[1:])


def _placed(
    result: LabelArray,
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    part: tuple[Structure, ...],
    hinge: Hinge,
    direction: tuple[float, float],
    reach_mm: int,
) -> LabelArray:
    """Add the turned part, shifted along a direction (v, w) by the least number of mm that avoids an overlap."""
    own = np.where(is_any(labels, part), labels, 0).astype(np.uint8)
    if not own.any():
        return result
    index = np.argwhere(own)
    thin = hinge.turned(frame.coordinates(grid.to_mm(index[:: max(1, len(index) // 20000)])))
    step = np.array([0.0, *direction])
    start = -20.0 if part is CAP else 0.0  # the patella approaches from behind the trochlea
    shift = start
    while shift < reach_mm:
        there = np.rint(grid.to_index(_to_mm(frame, thin + shift * step))).astype(int)
        inside = ((there >= 0) & (there < grid.shape)).all(1)
        if np.count_nonzero(result[tuple(there[inside].T)]) <= TOUCH * len(thin):
            break
        shift += 0.5
    fresh = _moved(own, grid, frame, hinge, shift * step)
    return np.where(result == 0, fresh, result)


def _moved(own: LabelArray, grid: Grid, frame: LimbFrame, hinge: Hinge, shift: FloatArray) -> LabelArray:
    """The part after turn and shift; along the last axis (upwards), border voxels continue."""

    def source(index: FloatArray) -> FloatArray:
        uvw = frame.coordinates(grid.to_mm(index)) - shift
        return grid.to_index(_to_mm(frame, hinge.turned(uvw, -1.0)))

    origin = source(np.zeros((1, 3)))[0]
    matrix = (source(np.eye(3)) - origin).T  # a rigid motion is affine
    axes = [axis.astype(np.float32) for axis in np.ix_(*(np.arange(n) for n in grid.shape))]
    flat, inside = None, np.ones(grid.shape, bool)
    for k, n in enumerate(grid.shape):
        place = sum(np.float32(matrix[k, j]) * axes[j] for j in range(3)) + np.float32(origin[k] + 0.5)
        nearest = np.floor(place).astype(np.int32)
        if k < 2:
            inside &= (nearest >= 0) & (nearest < n)
        np.clip(nearest, 0, n - 1, out=nearest)
        flat = nearest if flat is None else flat * np.int32(n) + nearest
    return np.asarray(own.reshape(-1)[flat] * inside)


def _to_mm(frame: LimbFrame, uvw: FloatArray | Field) -> FloatArray:
    return np.asarray((uvw * frame.scale) @ frame.axes + frame.origin)

"""Where a knee lies in the coordinates of a shape model.

A model knows right knees, upright, with a femur cut off above the joint, turned as its mean shape is, centred, and of
largest radius 1. So a femur is set upright with the alignment of the reference knee (which also mirrors a left knee),
cut as in the model's training, laid on the mean shape by closest points with scale, and then centred and scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray
from pipeline.registration import Target, apply, chosen_rows, come_near, scale_of
from pipeline.types import Alignment, Surface

SHAFT_TO_WIDTH: Final = 0.7
"""The femur is kept up to this share of its width (medial to lateral) above its lowest point..."""

SHORT_KEPT: Final = 0.95
"""...or, where less of it is in the image, this share of its height: so was every femur of the published models."""

UP: Final = 2
ACROSS: Final = 0
"""Axes of the reference frame: superior, medial."""

POINTS: Final = 2500
"""Of the patient's bone, spread evenly, in the registration."""

MOST_ITERATIONS: Final = 100
KEEP: Final = 0.9
"""Share of the closest pairs that count: where image or model cut the bone, there is nothing to be paired with."""

SETTLED: Final = 1e-5
"""Largest motion of a point, in the model's units, at which the registration ends."""

PLAUSIBLE: Final = 0.2
"""Mean distance to the mean shape, in the model's units (1 is about 55 mm); knees differ by 0.03 to 0.05."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """LPS mm to the model's coordinates: (matrix x - center) / scale; `matrix` (4, 4), `center` (3,)."""

    matrix: FloatArray
    center: FloatArray
    scale: float

    def to_model(self, points_mm: FloatArray) -> FloatArray:
        """(n, 3) LPS mm -> (n, 3) in the model's coordinates."""
        moved: FloatArray = (apply(self.matrix, points_mm) - self.center) / self.scale
        return moved

    def to_mm(self, points: FloatArray) -> FloatArray:
        """(n, 3) in the model's coordinates -> (n, 3) LPS mm."""
        registered = points * self.scale + self.center - self.matrix[:3, 3]
        return np.asarray(np.linalg.solve(self.matrix[:3, :3], registered.T).T, dtype=np.float64)

    @property
    def unit_mm(self) -> float:
        """Millimetres that one unit of the model is long."""
        return float(self.scale / scale_of(self.matrix))

    @property
    def turn(self) -> FloatArray:
        """(3, 3) orthogonal, LPS -> model; its determinant is -1 for a left knee."""
        return np.asarray(self.matrix[:3, :3] * (self.unit_mm / self.scale), dtype=np.float64)


def below_cut(bone: Surface, alignment: Alignment) -> NDArray[np.bool_]:
    """(n,): the vertices of a femur that a shape model sees."""
    upright = alignment.to_reference(bone.points_mm)
    low, high = upright.min(axis=0), upright.max(axis=0)
    height, width = high[UP] - low[UP], high[ACROSS] - low[ACROSS]
    cut = SHAFT_TO_WIDTH * width if height > SHAFT_TO_WIDTH * width else SHORT_KEPT * height
    kept: NDArray[np.bool_] = upright[:, UP] < low[UP] + cut
    return kept


def place(
    bone: FloatArray, mean: Surface, alignment: Alignment, counted: tuple[tuple[FloatArray, FloatArray], ...]
) -> Placement:
    """Lay a femur's points (n, 3) in LPS mm on the model's mean bone, in its coordinates.

    counted: what decides centre and size, as in the model's training: points (k, 3) in LPS mm with the area of each.
    Raises FitDiverged where the bone does not look like the mean shape.
    """
    upright = alignment.to_reference(bone)
    few = upright[np.unique(chosen_rows(upright, POINTS))]
    mean_shape = mean.points_mm
    start = np.eye(4)
    radius, model_radius = (np.sqrt(np.square(p - p.mean(axis=0)).sum(axis=1).mean()) for p in (few, mean_shape))
    start[:3, :3] *= model_radius / radius
    start[:3, 3] = mean_shape.mean(axis=0) - start[:3, :3] @ few.mean(axis=0)
    target = Target(surface=mean)
    step = come_near(few, target, start, scaled=True, keep=KEEP, near_mm=SETTLED, most_iterations=MOST_ITERATIONS)
    moved = apply(step, few)
    distance, _ = target.tree.query(moved)
    # both ways: a shape that does not fit shrinks into a corner of the mean, and lies close to it there
    far = max(distance.mean(), cKDTree(moved).query(mean_shape)[0].mean())
    if not far <= PLAUSIBLE:
        raise FitDiverged(
            f"The femur lies {far:.2f} units from the shape model's mean on average; expected less than {PLAUSIBLE}.",
            hint="Is the model one of the femur, and of right knees in LPS?",
        )
    matrix = step @ alignment.matrix
    points = apply(matrix, np.concatenate([item for item, _ in counted]))
    # by area: the mean of the vertices alone would depend on how the scanner's grid lies in the bone
    center = np.average(points, axis=0, weights=np.concatenate([area for _, area in counted]))
    scale = float(np.linalg.norm(points - center, axis=1).max())
    return Placement(matrix=matrix, center=center, scale=scale)

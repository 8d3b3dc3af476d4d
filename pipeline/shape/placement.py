"""Transforms a knee into the coordinates of a shape model.

A model represents upright right knees with a femur cut above the joint, oriented like its mean shape, centred, and with
largest radius 1. So a femur is made upright with the alignment to the reference knee (which also mirrors a left knee),
cut as in the training of the model, registered to the mean shape by closest points with scale, then centred and scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray
from pipeline.registration import Target, apply, chosen_rows, coarse_fit, scale_of
from pipeline.types import Alignment, Surface

SHAFT_TO_WIDTH: Final = 0.7
"""The femur is kept up to this fraction of its width (medial to lateral) above its lowest point..."""

SHORT_KEPT: Final = 0.95
"""...or, if less of it is in the image, up to this fraction of its height, as for the published models."""

UP: Final = 2
ACROSS: Final = 0
"""Axes of the reference frame: superior, medial."""

POINTS: Final = 2500
"""Number of evenly spaced points of the patient's bone in the registration."""

MOST_ITERATIONS: Final = 100
KEEP: Final = 0.9
"""Fraction of the closest pairs used: bone cut by the image or the model has no counterpart."""

TOLERANCE: Final = 1e-5
"""Maximum movement of a point per iteration at convergence, in the model's units."""

PLAUSIBLE: Final = 0.2
"""Maximum mean distance to the mean shape, in the model's units (1 is about 55 mm); knees differ by 0.03 to 0.05."""


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
        """Length of one unit of the model in mm."""
        return float(self.scale / scale_of(self.matrix))

    @property
    def turn(self) -> FloatArray:
        """(3, 3) orthogonal, LPS -> model; its determinant is -1 for a left knee."""
        return np.asarray(self.matrix[:3, :3] * (self.unit_mm / self.scale), dtype=np.float64)


def below_cut(bone: Surface, alignment: Alignment) -> NDArray[np.bool_]:
    """(n,): the vertices of a femur that a shape model uses."""
    upright = alignment.to_reference(bone.points_mm)
    low, high = upright.min(axis=0), upright.max(axis=0)
    height, width = high[UP] - low[UP], high[ACROSS] - low[ACROSS]
    cut = SHAFT_TO_WIDTH * width if height > SHAFT_TO_WIDTH * width else SHORT_KEPT * height
    kept: NDArray[np.bool_] = upright[:, UP] < low[UP] + cut
    return kept


def place(
    bone: FloatArray, mean: Surface, alignment: Alignment, counted: tuple[tuple[FloatArray, FloatArray], ...]
) -> Placement:
    """Register a femur's points (n, 3) in LPS mm to the mean bone of the model.

    counted: determines centre and size, as in the model's training: points (k, 3) in LPS mm with the area of each.
    Raises FitDiverged if the bone differs too much from the mean shape.
    """
    upright = alignment.to_reference(bone)
    few = upright[np.unique(chosen_rows(upright, POINTS))]
    mean_shape = mean.points_mm
    start = np.eye(4)
    radius, model_radius = (np.sqrt(np.square(p - p.mean(axis=0)).sum(axis=1).mean()) for p in (few, mean_shape))
    start[:3, :3] *= model_radius / radius
    start[:3, 3] = mean_shape.mean(axis=0) - start[:3, :3] @ few.mean(axis=0)
    target = Target(surface=mean)
    step = coarse_fit(
        few, target, start, scaled=True, keep=KEEP, tolerance_mm=TOLERANCE, most_iterations=MOST_ITERATIONS
    )
    moved = apply(step, few)
    distance, _ = target.tree.query(moved)
    # both directions: a shape that does not fit may shrink into a corner of the mean, where it is close to it
    far = max(distance.mean(), cKDTree(moved).query(mean_shape)[0].mean())
    if not far <= PLAUSIBLE:
        raise FitDiverged(
            f"The femur is {far:.2f} units from the shape model's mean on average; expected less than {PLAUSIBLE}.",
            hint="Check that the model is one of the femur, for right knees in LPS.",
        )
    matrix = step @ alignment.matrix
    points = apply(matrix, np.concatenate([item for item, _ in counted]))
    # weighted by area: the plain mean of the vertices would depend on the position of the grid
    center = np.average(points, axis=0, weights=np.concatenate([area for _, area in counted]))
    scale = float(np.linalg.norm(points - center, axis=1).max())
    return Placement(matrix=matrix, center=center, scale=scale)

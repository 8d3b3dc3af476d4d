"""Where a knee lies in the frame of the reference knee, and with it: left or right, medial or lateral.

The reference femur is laid on the patient's and, mirrored, once more: the better fit names the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline import registration
from pipeline.anatomy import Side, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.grid import FloatArray, Grid
from pipeline.image_io import read_label_map
from pipeline.registration import Patch, Target
from pipeline.surface import bone_surface
from pipeline.types import Alignment, Segmentation, Surface

REFERENCE_PATH: Final = Path(__file__).parent.parent / "models" / "reference_knee" / "labels.nrrd"

POINTS: Final = (400, 3000)
"""About as many points of the reference take part: first few, to come near, then all, to settle."""

NEAR_MM: Final = 0.05
SETTLED_MM: Final = 5e-5
"""No point moves further than this in the last iteration: to tell the sides apart, and to end in the same place
whatever the pose in the scanner."""

MOST_ITERATIONS: Final = (60, 40)

KEEP: Final = 0.85
"""Share of the closest pairs kept in the first stage: osteophytes and cut shafts must not pull."""

CUTOFF_MM: Final = 5.0
"""Pairs further apart than this do not count in the second stage; nearer ones fade towards it (Tukey's biweight)."""

SHAFT_MM: Final = 62.0
"""Length of femur, from its distal end, that takes part: fields of view end anywhere along the shaft."""


PLAUSIBLE_MM: Final = 2.3
"""A femur whose mean distance to the reference is larger than this is none: balls and eggs stay above 2.7, femora of
expert maps below 1.2."""

UP: Final = 2
"""Column of superior in LPS, and in the reference frame."""

_MIRROR: Final = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The reference femur as two sets of points: few (n, 3), and many with their normals."""

    few: FloatArray
    many: Patch

    def mirrored(self) -> Reference:
        """The reference of the other side."""
        flip = np.array([-1.0, 1.0, 1.0])
        many = Patch(points=self.many.points * flip, normals=self.many.normals * flip)
        return Reference(few=self.few * flip, many=many)


@lru_cache(maxsize=1)
def reference_femur() -> Reference:
    """The built-in reference, read once a process (right knee: +x medial, +y posterior, +z superior, mm)."""
    labels, grid = read_label_map(REFERENCE_PATH)
    # every second voxel is enough for points two millimetres apart
    femur = (labels[::2, ::2, ::2] == Structure.FEMUR).astype(np.uint8)
    coarse = Grid(
        shape=(femur.shape[0], femur.shape[1], femur.shape[2]),
        spacing_mm=(2 * grid.spacing_mm[0], 2 * grid.spacing_mm[1], 2 * grid.spacing_mm[2]),
        origin_mm=grid.origin_mm,
        direction=grid.direction,
    )
    surface = bone_surface(Segmentation(labels=femur, grid=coarse, model_id="reference_knee"), Structure.FEMUR)
    part = distal(surface.points_mm)
    points = surface.points_mm[part]
    few, many = (registration.chosen_rows(points, count) for count in POINTS)
    return Reference(few=points[few], many=Patch(points=points[many], normals=surface.normals[part][many]))


def distal(points_mm: FloatArray) -> NDArray[np.bool_]:
    """(n,): which points lie within SHAFT_MM of the distal end."""
    height = points_mm[:, UP]
    part: NDArray[np.bool_] = height < height.min() + SHAFT_MM
    return part


def _come_near(reference: Reference, femur: Target) -> FloatArray:
    """First stage, (4, 4) reference -> patient: closest points with scale and trimming, distal end on distal end."""
    surface = femur.surface.points_mm
    here, few = surface[distal(surface)], reference.few
    matrix = np.eye(4)
    matrix[:3, 3] = (here.max(axis=0) + here.min(axis=0) - few.max(axis=0) - few.min(axis=0)) / 2
    matrix[UP, 3] = here[:, UP].min() - few[:, UP].min()
    return registration.come_near(
        few, femur, matrix, scaled=True, keep=KEEP, near_mm=NEAR_MM, most_iterations=MOST_ITERATIONS[0]
    )


def _settle(reference: Reference, femur: Target, matrix: FloatArray, settled_mm: float) -> tuple[FloatArray, float]:
    """Second stage: (4, 4) and the mean distance to the surface in mm, each distance counted up to CUTOFF_MM."""
    settled = registration.settle(
        reference.many,
        femur,
        matrix,
        scaled=True,
        cutoff_mm=CUTOFF_MM,
        settled_mm=settled_mm,
        most_iterations=MOST_ITERATIONS[1],
    )
    if settled is None:
        return matrix, CUTOFF_MM
    moved = registration.apply(settled, reference.many.points)
    distance, _ = femur.tree.query(moved, distance_upper_bound=CUTOFF_MM)
    return settled, float(np.minimum(distance, CUTOFF_MM).mean())


def align_knee(femur: Surface) -> Alignment:
    """Lay the reference femur on a femur, as it is and mirrored; the lower residual names the side.

    Raises ImplausibleAnatomy where neither fits.
    """
    target = Target(surface=femur)
    fits = {}
    for side, reference in ((Side.RIGHT, reference_femur()), (Side.LEFT, reference_femur().mirrored())):
        guess = _come_near(reference, target)
        fits[side] = _settle(reference, target, guess, NEAR_MM)
    side = min(fits, key=lambda candidate: fits[candidate][1])
    reference = reference_femur() if side is Side.RIGHT else reference_femur().mirrored()
    matrix, residual = _settle(reference, target, fits[side][0], SETTLED_MM)
    if residual > PLAUSIBLE_MM:
        raise ImplausibleAnatomy(
            f"The femur lies {residual:.1f} mm from the reference femur on average; "
            f"expected less than {PLAUSIBLE_MM} mm.",
            hint="Is this a knee, and does the header give the patient's orientation right?",
        )
    back = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    return Alignment(
        matrix=back if side is Side.RIGHT else _MIRROR @ back,
        side=side,
        residual_mm=residual,
        residual_other_mm=fits[side.other][1],
    )

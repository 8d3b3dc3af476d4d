"""Alignment of a knee to the reference knee, which determines left or right and medial or lateral.

The reference femur and its mirror image are both fitted to the patient's; the better fit determines the side.
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
"""Approximate numbers of reference points: few for the coarse stage, many for the fine stage."""

COARSE_MM: Final = 0.05
ROUGH_MM: Final = 0.2
FINE_MM: Final = 5e-5
"""Convergence limits for the movement of any point per iteration: COARSE_MM is small enough to distinguish the sides,
FINE_MM for a result that does not depend on the pose in the scanner; ROUGH_MM is for a pose alone."""

MOST_ITERATIONS: Final = (60, 40)

KEEP: Final = 0.85
"""Fraction of the closest pairs used in the coarse stage, to exclude osteophytes and cut shafts."""

CUTOFF_MM: Final = 5.0
"""Pairs further apart than this have weight 0 in the fine stage; weights decrease towards it (Tukey's biweight)."""

SHAFT_MM: Final = 62.0
"""Length of femur used, from its distal end: fields of view end anywhere along the shaft."""


PLAUSIBLE_MM: Final = 2.3
"""Maximum mean distance of a femur to the reference: spheres and ellipsoids are above 2.7, femora of expert maps below
1.2."""

UP: Final = 2
"""Index of the superior axis in LPS and in the reference frame."""

_MIRROR: Final = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The reference femur as two sets of points: few (n, 3), and many with their normals."""

    few: FloatArray
    many: Patch

    def mirrored(self) -> Reference:
        """The reference for the other side."""
        flip = np.array([-1.0, 1.0, 1.0])
        many = Patch(points=self.many.points * flip, normals=self.many.normals * flip)
        return Reference(few=self.few * flip, many=many)


@lru_cache(maxsize=1)
def reference_femur() -> Reference:
    """The built-in reference, read once per process (right knee: +x medial, +y posterior, +z superior, mm)."""
    label_map = read_label_map(REFERENCE_PATH)
    labels, grid = label_map.labels, label_map.grid
    # every second voxel is sufficient for points 2 mm apart
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
    """(n,): which points are within SHAFT_MM of the distal end."""
    height = points_mm[:, UP]
    part: NDArray[np.bool_] = height < height.min() + SHAFT_MM
    return part


def _coarse_fit(reference: Reference, femur: Target, tolerance_mm: float) -> FloatArray:
    """Coarse stage, (4, 4) reference -> patient: trimmed closest points with scale, starting from the distal ends."""
    surface = femur.surface.points_mm
    here, few = surface[distal(surface)], reference.few
    matrix = np.eye(4)
    matrix[:3, 3] = (here.max(axis=0) + here.min(axis=0) - few.max(axis=0) - few.min(axis=0)) / 2
    matrix[UP, 3] = here[:, UP].min() - few[:, UP].min()
    return registration.coarse_fit(
        few, femur, matrix, scaled=True, keep=KEEP, tolerance_mm=tolerance_mm, most_iterations=MOST_ITERATIONS[0]
    )


def _fine_fit(reference: Reference, femur: Target, matrix: FloatArray, tolerance_mm: float) -> tuple[FloatArray, float]:
    """Fine stage: (4, 4) and the mean distance to the surface in mm, each distance limited to CUTOFF_MM."""
    settled = registration.fine_fit(
        reference.many,
        femur,
        matrix,
        scaled=True,
        cutoff_mm=CUTOFF_MM,
        tolerance_mm=tolerance_mm,
        most_iterations=MOST_ITERATIONS[1],
    )
    if settled is None:
        return matrix, CUTOFF_MM
    moved = registration.apply(settled, reference.many.points)
    distance, _ = femur.tree.query(moved, distance_upper_bound=CUTOFF_MM)
    return settled, float(np.minimum(distance, CUTOFF_MM).mean())


def rough_alignment(points_mm: FloatArray) -> Alignment:
    """Coarse stage alone, on any points (n, 3) of a femur's surface, e.g. its boundary voxels: a pose, no measurement.

    The residuals are mean distances of the closest pairs. Raises ImplausibleAnatomy if no size fits.
    """
    nothing = np.zeros((0, 3), dtype=np.int64)
    target = Target(
        surface=Surface(
            points_mm=points_mm,
            faces=nothing,
            normals=np.zeros_like(points_mm),
            vertex_areas_mm2=np.zeros(len(points_mm)),
            structure=Structure.FEMUR,
        )
    )
    fits = {}
    for side, reference in ((Side.RIGHT, reference_femur()), (Side.LEFT, reference_femur().mirrored())):
        matrix = _coarse_fit(reference, target, ROUGH_MM)
        distance = target.tree.query(registration.apply(matrix, reference.few))[0]
        fits[side] = matrix, float(np.sort(distance)[: int(KEEP * len(distance))].mean())
    side = min(fits, key=lambda candidate: fits[candidate][1])
    return _alignment(fits[side][0], side, residual_mm=fits[side][1], residual_other_mm=fits[side.other][1])


def align_knee(femur: Surface) -> Alignment:
    """Fit the reference femur and its mirror image to a femur; the lower residual determines the side.

    Raises ImplausibleAnatomy if neither fits.
    """
    target = Target(surface=femur)
    fits = {}
    for side, reference in ((Side.RIGHT, reference_femur()), (Side.LEFT, reference_femur().mirrored())):
        guess = _coarse_fit(reference, target, COARSE_MM)
        fits[side] = _fine_fit(reference, target, guess, COARSE_MM)
    side = min(fits, key=lambda candidate: fits[candidate][1])
    reference = reference_femur() if side is Side.RIGHT else reference_femur().mirrored()
    matrix, residual = _fine_fit(reference, target, fits[side][0], FINE_MM)
    if residual > PLAUSIBLE_MM:
        raise ImplausibleAnatomy(
            f"The femur is {residual:.1f} mm from the reference femur on average; "
            f"expected less than {PLAUSIBLE_MM} mm.",
        )
    return _alignment(matrix, side, residual_mm=residual, residual_other_mm=fits[side.other][1])


def _alignment(matrix: FloatArray, side: Side, *, residual_mm: float, residual_other_mm: float) -> Alignment:
    """matrix: reference of this side -> patient. Raises ImplausibleAnatomy."""
    try:
        back = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise ImplausibleAnatomy("The bone does not fit the reference knee in any size.") from None
    return Alignment(
        matrix=back if side is Side.RIGHT else _MIRROR @ back,
        side=side,
        residual_mm=residual_mm,
        residual_other_mm=residual_other_mm,
    )

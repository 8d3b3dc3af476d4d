"""Alignment of a knee to the reference knee, which determines left or right and medial or lateral.

A bone of the reference, usually the femur, and its mirror image are both fitted to the patient's; the better fit
determines the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline import registration
from pipeline.anatomy import BONES, Side, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.grid import FloatArray, Grid
from pipeline.image_io import read_label_map
from pipeline.registration import Patch, Target
from pipeline.surface import bone_surface
from pipeline.types import Alignment, LabelArray, Segmentation, Surface

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

TIBIA_MM: Final = 40.0
"""Length of tibia used, from its proximal end."""


PLAUSIBLE_MM: Final = 2.3
"""Maximum mean distance of a femur or tibia to the reference: spheres and ellipsoids are above 2.7, bones of expert
maps below 1.2."""

PLAUSIBLE_PATELLA_MM: Final = 1.3
"""The same for a patella: below 0.7 in expert maps."""

UP: Final = 2
"""Index of the superior axis in LPS and in the reference frame."""

_MIRROR: Final = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """A bone of the reference knee as two sets of points: few (n, 3), and many with their normals."""

    structure: Structure
    few: FloatArray
    many: Patch

    def mirrored(self) -> Reference:
        """The reference for the other side."""
        flip = np.array([-1.0, 1.0, 1.0])
        many = Patch(points=self.many.points * flip, normals=self.many.normals * flip)
        return Reference(structure=self.structure, few=self.few * flip, many=many)


def reference_labels(structure: Structure) -> tuple[LabelArray, Grid]:
    """One bone of the reference (z, y, x), in its frame, at every second voxel: sufficient for points 2 mm apart."""
    label_map = read_label_map(REFERENCE_PATH)
    labels, grid = label_map.labels, label_map.grid
    bone = np.where(labels[::2, ::2, ::2] == structure, np.uint8(structure), np.uint8(0))
    coarse = Grid(
        shape=(bone.shape[0], bone.shape[1], bone.shape[2]),
        spacing_mm=(2 * grid.spacing_mm[0], 2 * grid.spacing_mm[1], 2 * grid.spacing_mm[2]),
        origin_mm=grid.origin_mm,
        direction=grid.direction,
    )
    return bone, coarse


@lru_cache(maxsize=len(BONES))
def reference_bone(structure: Structure) -> Reference:
    """The built-in reference, read once per process (right knee: +x medial, +y posterior, +z superior, mm)."""
    bone, coarse = reference_labels(structure)
    surface = bone_surface(Segmentation(labels=bone, grid=coarse, model_id="reference_knee"), structure)
    part = near_joint(structure, surface.points_mm)
    points = surface.points_mm[part]
    few, many = (registration.chosen_rows(points, count) for count in POINTS)
    many_points = Patch(points=points[many], normals=surface.normals[part][many])
    return Reference(structure=structure, few=points[few], many=many_points)


def near_joint(structure: Structure, points_mm: FloatArray) -> NDArray[np.bool_]:
    """(n,): which points are used: the end of femur or tibia at the joint, the whole patella."""
    height = points_mm[:, UP]
    part = np.ones(len(height), dtype=bool)
    if structure is Structure.FEMUR:
        part = height < height.min() + SHAFT_MM
    if structure is Structure.TIBIA:
        part = height > height.max() - TIBIA_MM
    return part


def _joint_height(structure: Structure, points_mm: FloatArray) -> float:
    """Height of the end at the joint; of the middle of a patella."""
    low, high = float(points_mm[:, UP].min()), float(points_mm[:, UP].max())
    return {Structure.FEMUR: low, Structure.TIBIA: high}.get(structure, (low + high) / 2)


def _coarse_fit(reference: Reference, bone: Target, tolerance_mm: float) -> FloatArray:
    """Coarse stage, (4, 4) reference -> patient: trimmed closest points with scale, starting from the joint."""
    surface, structure = bone.surface.points_mm, reference.structure
    here, few = surface[near_joint(structure, surface)], reference.few
    matrix = np.eye(4)
    matrix[:3, 3] = (here.max(axis=0) + here.min(axis=0) - few.max(axis=0) - few.min(axis=0)) / 2
    matrix[UP, 3] = _joint_height(structure, here) - _joint_height(structure, few)
    return registration.coarse_fit(
        few, bone, matrix, scaled=True, keep=KEEP, tolerance_mm=tolerance_mm, most_iterations=MOST_ITERATIONS[0]
    )


def _fine_fit(reference: Reference, bone: Target, matrix: FloatArray, tolerance_mm: float) -> tuple[FloatArray, float]:
    """Fine stage: (4, 4) and the mean distance to the surface in mm, each distance limited to CUTOFF_MM."""
    settled = registration.fine_fit(
        reference.many,
        bone,
        matrix,
        scaled=True,
        cutoff_mm=CUTOFF_MM,
        tolerance_mm=tolerance_mm,
        most_iterations=MOST_ITERATIONS[1],
    )
    if settled is None:
        return matrix, CUTOFF_MM
    moved = registration.apply(settled, reference.many.points)
    distance, _ = bone.tree.query(moved, distance_upper_bound=CUTOFF_MM)
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
    right = reference_bone(Structure.FEMUR)
    for side, reference in ((Side.RIGHT, right), (Side.LEFT, right.mirrored())):
        matrix = _coarse_fit(reference, target, ROUGH_MM)
        distance = target.tree.query(registration.apply(matrix, reference.few))[0]
        fits[side] = matrix, float(np.sort(distance)[: int(KEEP * len(distance))].mean())
    side = min(fits, key=lambda candidate: fits[candidate][1])
    return _alignment(
        fits[side][0], side, Structure.FEMUR, residual_mm=fits[side][1], residual_other_mm=fits[side.other][1]
    )


def align_knee(bone: Surface) -> Alignment:
    """Fit the reference and its mirror image to a bone; the lower residual determines the side.

    The femur is used where there is one. In six expert maps, tibia and patella alone gave the same side: the other side
    was 2.2 (tibia) and 1.5 times (patella) as far away, or more.

    Raises ImplausibleAnatomy if neither fits.
    """
    target, structure = Target(surface=bone), bone.structure
    right = reference_bone(structure)
    references = {Side.RIGHT: right, Side.LEFT: right.mirrored()}
    fits = {}
    for candidate, reference in references.items():
        guess = _coarse_fit(reference, target, COARSE_MM)
        fits[candidate] = _fine_fit(reference, target, guess, COARSE_MM)
    side = min(fits, key=lambda candidate: fits[candidate][1])
    matrix, residual = _fine_fit(references[side], target, fits[side][0], FINE_MM)
    _require_fit(structure, residual)
    return _alignment(matrix, side, structure, residual_mm=residual, residual_other_mm=fits[side.other][1])


def align_bone(right: Reference, bone: Surface, side: Side) -> Alignment:
    """Fit the reference to a bone of a known side. right: the reference, a right knee. The residual of the other side
    is not determined (NaN).

    Raises ImplausibleAnatomy if it does not fit.
    """
    reference, target = right if side is Side.RIGHT else right.mirrored(), Target(surface=bone)
    matrix, residual = _fine_fit(reference, target, _coarse_fit(reference, target, COARSE_MM), FINE_MM)
    _require_fit(bone.structure, residual)
    return _alignment(matrix, side, bone.structure, residual_mm=residual, residual_other_mm=float("nan"))


def _require_fit(structure: Structure, residual_mm: float) -> None:
    limit = PLAUSIBLE_PATELLA_MM if structure is Structure.PATELLA else PLAUSIBLE_MM
    if residual_mm > limit:
        name = structure.title.lower()
        raise ImplausibleAnatomy(
            f"The {name} is {residual_mm:.1f} mm from the reference {name} on average; expected less than {limit} mm.",
        )


def _alignment(
    matrix: FloatArray, side: Side, structure: Structure, *, residual_mm: float, residual_other_mm: float
) -> Alignment:
    """matrix: reference of this side -> patient. Raises ImplausibleAnatomy."""
    try:
        back = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise ImplausibleAnatomy("The bone does not fit the reference knee in any size.") from None
    return Alignment(
        matrix=back if side is Side.RIGHT else _MIRROR @ back,
        side=side,
        structure=structure,
        residual_mm=residual_mm,
        residual_other_mm=residual_other_mm,
    )

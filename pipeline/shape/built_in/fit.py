"""Joint fit of pose and latent vector of the built-in shape model.

Robust Gauss-Newton in numpy: iteratively reweighted least squares minimises the sum of absolute distances between the
patient's surface points and the model's surfaces; each point has the inverse of its distance as weight. The latent
vector is regularised towards the mean knee. There is no random sampling, so the result is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray
from pipeline.registration import apply, chosen_rows
from pipeline.shape.built_in.decoder import Array, FieldDecoder, Sampling
from pipeline.types import Surface

BONE_POINTS: Final = 2500
CARTILAGE_POINTS: Final = 2000
"""Numbers of evenly spaced points of each surface."""

BARE_MM: Final = 1.0
"""A bone point at least this far from cartilage must be at least as far from it in the model."""

ROUND_MM: Final = 0.2
"""The loss is quadratic below this distance and linear above."""

REGULARISATION: Final = 0.05
"""Weight of the squared length of the latent vector, relative to a thousand distances in mm."""

POSE_STEPS: Final = 4
MOST_STEPS: Final = 14
TOLERANCE_MM: Final = 0.01
"""The first steps fit only the pose; the fit ends when no point is expected to move further than the limit."""

STEP_MM: Final = 0.25
"""Step of the central differences for the spatial gradient of the distances."""

MOST_LATENT: Final = 5.0
"""Limit of each component, in standard deviations of the training knees."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """Points of the patient in LPS mm: on the bone, with the distance of each to cartilage (0: not used), and on the
    surface of the cartilage.
    """

    bone: FloatArray
    bare: FloatArray
    cartilage: FloatArray


def targets_of(bone: Surface, kept: NDArray[np.bool_], cartilage: Surface | None) -> Targets:
    """Evenly spaced points of the kept vertices of the bone and of the cartilage; None: bone only."""
    rows = np.flatnonzero(kept)
    points = bone.points_mm[rows[np.unique(chosen_rows(bone.points_mm[rows], BONE_POINTS))]]
    if cartilage is None:
        return Targets(bone=points, bare=np.zeros(len(points)), cartilage=np.zeros((0, 3)))
    plate = cartilage.points_mm
    far, _ = cKDTree(plate, balanced_tree=False, compact_nodes=False).query(points)
    return Targets(bone=points, bare=far, cartilage=plate[np.unique(chosen_rows(plate, CARTILAGE_POINTS))])


def fit(
    decoder: FieldDecoder,
    targets: Targets,
    start: FloatArray,
    on_progress: Callable[[float], None] = lambda _: None,
    *,
    most_steps: int = MOST_STEPS,
) -> tuple[FloatArray, FloatArray]:
    """(4, 4) similarity LPS mm -> the model's frame, starting from `start` (which may mirror), and the latent vector
    (d,).  `most_steps` = POSE_STEPS fits only the pose, with the mean knee. Raises FitDiverged if a value is not
    finite.
    """
    if not all(np.isfinite(part).all() for part in (targets.bone, targets.cartilage, start)):
        raise FitDiverged("The surfaces for the shape model contain a position that is not finite; expected mm.")
    matrix, latent = start.copy(), np.zeros(decoder.latent_size)
    for number in range(most_steps):
        slopes = _Slopes(decoder, targets, matrix, latent)
        step = slopes.step(latent, whole=number >= POSE_STEPS)
        if not np.isfinite(step).all():
            raise FitDiverged("The fit of the shape model ended with a value that is not finite.")
        before = matrix
        matrix = _moved(step[:7], slopes.middle) @ matrix
        latent = np.clip(latent + step[7:], -MOST_LATENT, MOST_LATENT) if len(step) > 7 else latent
        on_progress((number + 1) / most_steps)
        moved = np.abs(apply(matrix, targets.bone) - apply(before, targets.bone)).max()
        if number > POSE_STEPS and max(moved, np.abs(slopes.motion(step)).max()) < TOLERANCE_MM:
            break
    return matrix, latent


class _Slopes:
    """Distances of all points at one pose and latent vector, and their derivatives with respect to both."""

    def __init__(self, decoder: FieldDecoder, targets: Targets, matrix: FloatArray, latent: FloatArray) -> None:
        self.decoder, self.latent = decoder, latent
        self.split = len(targets.bone)
        self.points = apply(matrix, np.concatenate([targets.bone, targets.cartilage]))
        self.middle = self.points.mean(axis=0)
        self.wanted = np.minimum(targets.bare, BARE_MM)
        sampling = decoder.sampling(self.points)
        features = decoder.features_at(latent, sampling)
        answer, slope = decoder.answer_and_slope(features, sampling.place)
        self.sampling, self.slope = sampling, slope
        bone, thickness = answer.astype(np.float64).T
        # max(-bone, bone - thickness): which of the two, as factors of bone and thickness
        outer = bone - thickness > -bone
        self.factors = np.stack([np.where(outer, 1.0, -1.0), np.where(outer, -1.0, 0.0)], axis=1)
        self.bone, self.cartilage = bone, np.where(outer, bone - thickness, -bone)
        around = [self._answer_at(self.points + off * STEP_MM) for off in (*np.eye(3), *-np.eye(3))]
        self.space = np.stack([(a - b) / (2 * STEP_MM) for a, b in zip(around[:3], around[3:], strict=True)], axis=2)

    def _answer_at(self, points: FloatArray) -> FloatArray:
        sampling: Sampling = self.decoder.sampling(points)
        answer = self.decoder.answer(self.decoder.features_at(self.latent, sampling), sampling.place)
        return answer.astype(np.float64)

    def step(self, latent: FloatArray, *, whole: bool) -> FloatArray:
        """(7,) rotation, translation and scale, followed by (d,) of the latent vector if `whole`."""
        residuals, factors, rows = self._residuals()
        arm = self.points[rows] - self.middle
        space = np.einsum("no,nok->nk", factors, self.space[rows])
        jacobian = np.concatenate([np.cross(arm, space), space, np.einsum("ij,ij->i", arm, space)[:, None]], axis=1)
        prior = np.zeros(7)
        if whole:
            by_feature = np.einsum("no,noc->nc", factors, self.slope[rows]).astype(np.float32)
            jacobian = np.concatenate([jacobian, self._by_latent(by_feature, rows)], axis=1)
            prior = np.concatenate([prior, np.full(len(latent), REGULARISATION * len(self.points) / 1000)])
        weights = 1 / np.sqrt(residuals**2 + ROUND_MM**2)
        weighted = jacobian * weights[:, None]
        at = np.concatenate([np.zeros(7), latent]) if whole else np.zeros(7)
        self.jacobian = jacobian
        matrix = weighted.T @ jacobian + np.diag(prior) + 1e-6 * np.eye(len(prior))
        found: FloatArray = -np.linalg.solve(matrix, weighted.T @ residuals + prior * at)
        return found

    def motion(self, step: FloatArray) -> FloatArray:
        """Movement of the surfaces at the points, to first order, mm."""
        return np.asarray(self.jacobian @ step)

    def _residuals(self) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """Distances that should be 0 (m,), their factors of bone and thickness (m, 2), their point indices."""
        on_bone = np.arange(self.split)
        # hinge: a denuded point may have any larger distance to cartilage
        short = self.cartilage[: self.split] - self.wanted
        bare = np.flatnonzero((self.wanted >= BARE_MM) & (short < 0))
        plate = np.arange(self.split, len(self.points))
        residuals = np.concatenate([self.bone[: self.split], short[bare], self.cartilage[plate]])
        factors = np.concatenate([np.tile([1.0, 0.0], (self.split, 1)), self.factors[bare], self.factors[plate]])
        return residuals, factors, np.concatenate([on_bone, bare, plate])

    def _by_latent(self, by_feature: Array, rows: NDArray[np.int64]) -> FloatArray:
        """Derivatives with respect to the features (m, c) -> with respect to the latent vector (m, d)."""
        near = self.sampling.modes[rows]
        total = np.zeros((len(rows), self.decoder.latent_size), dtype=np.float32)
        for number, modes in enumerate(self.decoder.modes):
            total += by_feature[:, number, None] * (near @ modes)
        return total.astype(np.float64)


def _moved(step: FloatArray, middle: FloatArray) -> FloatArray:
    """(4, 4) of a rotation, translation and scaling about a point."""
    update = np.eye(4)
    update[:3, :3] = np.exp(step[6]) * Rotation.from_rotvec(step[:3]).as_matrix()
    update[:3, 3] = middle + step[3:6] - update[:3, :3] @ middle
    return update

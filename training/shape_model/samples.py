"""Training samples of the decoder: points near the surfaces of a femur with their distances, and synthetic femora."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.grid import FloatArray
from pipeline.registration import apply, chosen_rows, scale_of
from pipeline.shape.built_in.lattice import Lattice
from pipeline.shape.placement import UP, below_cut
from training.shape_model.collection import Femur

ABOVE_CUT_MM: Final = 6.0
CAP_MM: Final = 3.0
"""The model covers bone up to this height above the standard cut, but not within this distance of the image end."""

POINTS: Final = 7000
SAMPLES: Final = 30_000
"""Samples per femur, on and near both surfaces."""

PLANE_MM: Final = 1.0
"""Below this, the distance is measured to the tangent plane of the closest vertex."""

THICKEST_MM: Final = 6.0
RAY_MM: Final = np.arange(0.25, THICKEST_MM + 0.3, 0.5)
"""Maximum cartilage thickness, and length of the ray on which cartilage is searched above the bone."""

OFFSETS_MM: Final = (0.0, 0.3, 1.2)
"""Standard deviations of the samples' distance from a surface; each vertex gives one sample per value."""

WARP_MM: Final = (22.0, 0.8)
GROWTH: Final = (15.0, 0.15)
"""Kernel width and SD of the synthetic displacement (mm), and the same of the synthetic cartilage growth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A femur in the model's frame. bone (n, 3) with normals: evenly spaced points; the others: all vertices."""

    bone: FloatArray
    bone_normals: FloatArray
    all_bone: FloatArray
    all_bone_normals: FloatArray
    cartilage: FloatArray
    cartilage_normals: FloatArray

    @cached_property
    def bone_tree(self) -> cKDTree:
        return cKDTree(self.all_bone, balanced_tree=False, compact_nodes=False)

    @cached_property
    def cartilage_tree(self) -> cKDTree:
        return cKDTree(self.cartilage, balanced_tree=False, compact_nodes=False)

    @cached_property
    def kept_tree(self) -> cKDTree:
        return cKDTree(self.bone)

    @cached_property
    def thickness(self) -> FloatArray:
        """(n,) mm of cartilage along the normal at the bone points; without cartilage, minus the distance to it."""
        along = [self.cartilage_distance(self.bone + t * self.bone_normals) for t in RAY_MM]
        inside = np.stack(along, axis=1) < 0
        covered = inside[:, :3].any(axis=1)
        far = np.stack(along, axis=1)
        first = inside.argmax(axis=1)
        ended = ~inside & (np.arange(len(RAY_MM)) > first[:, None])
        last = np.where(ended.any(axis=1), ended.argmax(axis=1), len(RAY_MM)) - 1
        rows = np.arange(len(far))
        here, beyond = far[rows, last], far[rows, np.minimum(last + 1, len(RAY_MM) - 1)]
        rest = np.where(beyond > here, -here / np.maximum(beyond - here, 1e-6), 0.0)
        outside = -np.maximum(self.cartilage_distance(self.bone), 0)
        found: FloatArray = np.clip(np.where(covered, RAY_MM[last] + 0.5 * rest, outside), -THICKEST_MM, THICKEST_MM)
        return found

    def bone_distance(self, points: FloatArray) -> FloatArray:
        """(n,) mm, negative inside."""
        return _signed(self.bone_tree, self.all_bone_normals, points)

    def cartilage_distance(self, points: FloatArray) -> FloatArray:
        """(n,) mm, negative inside."""
        return _signed(self.cartilage_tree, self.cartilage_normals, points)


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """points (n, 3) in the model's frame, their signed distances (n,) to bone and cartilage, mm; outward (n, 3): the
    normal of the bone nearest to each.
    """

    points: NDArray[np.float32]
    outward: NDArray[np.float32]
    bone: NDArray[np.float32]
    cartilage: NDArray[np.float32]


def outline_of(femur: Femur, matrix: FloatArray) -> Outline:
    """A femur transformed by `matrix` (LPS mm -> the model's frame)."""
    turn = matrix[:3, :3].T / scale_of(matrix)
    bone = apply(matrix, femur.bone.points_mm)
    height = femur.alignment.to_reference(femur.bone.points_mm)[:, UP]
    top = min(height[below_cut(femur.bone, femur.alignment)].max() + ABOVE_CUT_MM, height.max() - CAP_MM)
    rows = np.flatnonzero(height < top)
    rows = rows[np.unique(chosen_rows(bone[rows], POINTS))]
    normals = femur.bone.normals @ turn
    return Outline(
        bone=bone[rows],
        bone_normals=normals[rows],
        all_bone=bone,
        all_bone_normals=normals,
        cartilage=apply(matrix, femur.cartilage.points_mm),
        cartilage_normals=femur.cartilage.normals @ turn,
    )


def samples_of(outline: Outline, rng: np.random.Generator) -> Samples:
    """SAMPLES points on and near both surfaces."""
    plate = np.unique(chosen_rows(outline.cartilage, POINTS))
    surfaces = (
        (outline.bone, outline.bone_normals),
        (outline.cartilage[plate], outline.cartilage_normals[plate]),
    )
    points = np.concatenate(
        [
            place + normals * (deviation * rng.standard_normal((len(place), 1)))
            for place, normals in surfaces
            for deviation in OFFSETS_MM
        ]
    )
    points = points[rng.choice(len(points), SAMPLES, replace=len(points) < SAMPLES)]
    return Samples(
        points=points.astype(np.float32),
        outward=outline.all_bone_normals[outline.bone_tree.query(points)[1]].astype(np.float32),
        bone=outline.bone_distance(points).astype(np.float32),
        cartilage=outline.cartilage_distance(points).astype(np.float32),
    )


def deformed(samples: Samples, lattice: Lattice, rng: np.random.Generator) -> Samples:
    """The same femur with a smooth deformation and locally thicker or thinner cartilage.

    Distances of samples off the surfaces are kept unchanged; on the surfaces, where most samples are, they are exact.
    """
    points = samples.points.astype(np.float64)
    sampling = lattice.sampling(points)
    warp = np.stack([sampling @ _noise(lattice, *WARP_MM, rng) for _ in range(3)], axis=1)
    growth = np.clip(sampling @ _noise(lattice, *GROWTH, rng), -0.5, 0.5)
    height = np.maximum(samples.bone, 0)
    moved = points + warp + (growth * height)[:, None] * samples.outward
    return Samples(
        points=moved.astype(np.float32),
        outward=samples.outward,
        bone=np.where(samples.bone > 0, samples.bone * (1 + growth), samples.bone).astype(np.float32),
        cartilage=samples.cartilage,
    )


def _noise(lattice: Lattice, width_mm: float, deviation: float, rng: np.random.Generator) -> FloatArray:
    """(nodes,) values of a smooth random field."""
    sigma = width_mm / lattice.cell_mm / np.sqrt(2)
    field = ndimage.gaussian_filter(rng.standard_normal(lattice.counts), sigma, mode="constant")
    return np.asarray(deviation * field.reshape(-1) / field.std())


def _signed(tree: cKDTree, normals: FloatArray, points: FloatArray) -> FloatArray:
    """(n,) mm from points to the surface whose vertices are in the tree, negative inside."""
    far, nearest = tree.query(points)
    off = np.einsum("ij,ij->i", points - tree.data[nearest], normals[nearest])
    return np.asarray(np.sign(off) * np.where(far < PLANE_MM, np.abs(off), far))

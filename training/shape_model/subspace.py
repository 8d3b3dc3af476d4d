"""The linear start of the decoder: mean fields of the training femora and their main modes of variation.

Each femur has two fields on the coarse lattice: signed distance to the bone, and cartilage thickness extrapolated from
the bone (outside the cartilage: minus the distance to it). A few knees span only a few directions, so the covariance of
smooth random fields is added to that of the training femora (M. Luethi et al., IEEE PAMI 40(8), 2018, "Gaussian process
morphable models"); the leading directions of the sum are the modes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.grid import FloatArray
from pipeline.shape.built_in.lattice import Lattice
from training.shape_model.samples import Outline

LOW: Final = np.array([-50.0, -52.0, -32.0])
HIGH: Final = np.array([50.0, 33.0, 44.0])
"""Corners of the model's box in the frame of the reference knee, mm: femora up to a height of 0.7 of their width."""

COARSE_MM: Final = 4.0
FINE_MM: Final = 2.0

SMOOTH_BONE: Final = (20.0, 1.0)
SMOOTH_THICKNESS: Final = (12.0, 0.6)
"""Kernel width and standard deviation of the random fields, mm. Chosen by leave-one-out over the training knees."""

RANDOM_FIELDS: Final = 600
BAND_MM: Final = 6.0
"""Nodes this close to the mean bone determine the modes."""

KEPT_MM: Final = 10.0
"""Modes are stored at nodes this close to the mean bone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """mean: node values (fine nodes, 2); modes: node values (2, kept nodes, d) per standard deviation; rows: indices of
    the kept nodes of the coarse lattice.
    """

    fine: Lattice
    mean: FloatArray
    coarse: Lattice
    rows: np.ndarray
    modes: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Fields:
    """each: (femora, 2, coarse nodes), mean: (fine nodes, 2)."""

    coarse: Lattice
    each: FloatArray
    fine: Lattice
    mean: FloatArray


def fields(outline: Outline, points: FloatArray) -> FloatArray:
    """(n, 2): signed distance to the bone and extrapolated thickness, at points (n, 3) in the model's frame."""
    _, near = outline.kept_tree.query(points, k=4)
    return np.stack([outline.bone_distance(points), outline.thickness[near].mean(axis=1)], axis=1)


def mean_bone(outlines: list[Outline]) -> Start:
    """The mean distance to the bone on the coarse lattice, with one zero mode: the target for aligning femora."""
    coarse = Lattice.over(LOW, HIGH, COARSE_MM)
    mean = np.mean([outline.bone_distance(coarse.nodes()) for outline in outlines], axis=0)
    values = np.stack([_coefficients(mean, coarse), np.zeros(coarse.size)], axis=1)
    nothing = np.zeros((2, coarse.size, 1))
    return Start(fine=coarse, mean=values, coarse=coarse, rows=np.arange(coarse.size), modes=nothing)


def measured_fields(outlines: list[Outline]) -> Fields:
    """Compute the two fields of femora in the model's frame."""
    coarse, fine = Lattice.over(LOW, HIGH, COARSE_MM), Lattice.over(LOW, HIGH, FINE_MM)
    each = np.stack([fields(outline, coarse.nodes()).T for outline in outlines])
    return Fields(coarse=coarse, each=each, fine=fine, mean=_fine_mean(outlines, fine, coarse, each.mean(axis=0)))


def linear_start(measured: Fields, latent_size: int, *, smooth: bool = True) -> Start:
    """Mean and modes. smooth False: without random fields, a plain PCA of the training femora."""
    coarse, fine = measured.coarse, measured.fine
    middle = measured.each.mean(axis=0)
    spread = (measured.each - middle).reshape(len(measured.each), -1) / np.sqrt(len(measured.each))
    if smooth:
        spread = np.concatenate([spread, _random_fields(coarse)])
    weighed = spread * np.tile(np.abs(middle[0]) < BAND_MM, 2)
    # right singular vectors in decreasing order, from the eigenvectors of the smaller product
    size, left = np.linalg.eigh(weighed @ weighed.T)
    size, left = size[::-1], left[:, ::-1]
    count = min(latent_size, int((size > 1e-9 * size[0]).sum()))
    rows = np.flatnonzero(np.abs(middle[0]) < KEPT_MM)
    modes = (left[:, :count].T @ spread).reshape(count, 2, -1)
    coefficients = np.stack([[_coefficients(field, coarse) for field in mode] for mode in modes])
    return Start(
        fine=fine,
        mean=np.stack([_coefficients(field, fine) for field in measured.mean.T], axis=1),
        coarse=coarse,
        rows=rows,
        modes=coefficients[:, :, rows].transpose(1, 2, 0),
    )


def _fine_mean(outlines: list[Outline], fine: Lattice, coarse: Lattice, middle: FloatArray) -> FloatArray:
    """(fine nodes, 2): the mean fields; away from the bone interpolated from the coarse lattice's (2, nodes)."""
    nodes = fine.nodes()
    coefficients = np.stack([_coefficients(field, coarse) for field in middle], axis=1)
    mean = coarse.sampling(nodes) @ coefficients
    near = np.flatnonzero(np.abs(mean[:, 0]) < BAND_MM)
    mean[near] = np.mean([fields(outline, nodes[near]) for outline in outlines], axis=0)
    return np.asarray(mean)


def _random_fields(lattice: Lattice) -> FloatArray:
    """(RANDOM_FIELDS, 2 * nodes): rows whose sum of squares is the covariance of the smooth random fields."""
    rng = np.random.default_rng(0)
    made = []
    for width, deviation in (SMOOTH_BONE, SMOOTH_THICKNESS):
        noise = rng.standard_normal((RANDOM_FIELDS, *lattice.counts))
        sigma = width / lattice.cell_mm / np.sqrt(2)
        field = np.stack([ndimage.gaussian_filter(one, sigma, mode="constant") for one in noise])
        made.append(deviation * (field / field.std()).reshape(RANDOM_FIELDS, -1))
    return np.concatenate(made, axis=1) / np.sqrt(RANDOM_FIELDS)


def _coefficients(values: FloatArray, lattice: Lattice) -> FloatArray:
    """Values of a field at the nodes -> B-spline coefficients (size,)."""
    return np.asarray(ndimage.spline_filter(values.reshape(lattice.counts), order=2, mode="nearest").reshape(-1))

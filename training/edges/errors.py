"""Distance between the edges found along rays and those of the expert's map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.edges.network import Ensemble, edges_mm, prior
from training.edges.examples import Examples, shares_of

LEAST_COVERED: Final = 3
"""Minimum number of cartilage depths on a ray for it to be counted: 0.75 mm."""


@dataclass(frozen=True, kw_only=True)
class EdgeErrors:
    """Mean error (bias) and mean absolute error (mm) of the depths at which bone (inner) and cartilage (outer) end."""

    inner_bias_mm: float
    inner_mm: float
    outer_bias_mm: float
    outer_mm: float
    rays: int


def edge_errors(probability: NDArray[np.float32], truth: NDArray[np.float32]) -> EdgeErrors:
    """Edge errors of the rays that cross true cartilage; both arrays (n, ANSWERS, depths)."""
    covered = (truth[:, 1] > 0.5).sum(axis=1) >= LEAST_COVERED
    (inner, outer), (true_inner, true_outer) = edges_mm(probability[covered]), edges_mm(truth[covered])
    return EdgeErrors(
        inner_bias_mm=float((inner - true_inner).mean()),
        inner_mm=float(np.abs(inner - true_inner).mean()),
        outer_bias_mm=float((outer - true_outer).mean()),
        outer_mm=float(np.abs(outer - true_outer).mean()),
        rays=int(covered.sum()),
    )


def first_pass_errors(examples: Examples) -> EdgeErrors:
    """Edge errors of the first pass alone."""
    answer = np.exp(prior(examples.features.astype(np.float32)))
    return edge_errors(answer / answer.sum(axis=1, keepdims=True), shares_of(examples.truth))


def errors(networks: Ensemble, examples: Examples) -> EdgeErrors:
    """Edge errors of the ensemble."""
    return edge_errors(networks(examples.features.astype(np.float32)), shares_of(examples.truth))

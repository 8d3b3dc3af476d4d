"""Confidence of the edge networks for the cartilage they found: not calibrated (segmentation/confidence.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.segmentation.confidence import entropy_bits
from pipeline.segmentation.edges.profiles import DEPTHS_MM, STEP_MM
from pipeline.segmentation.sampling import FloatVolume


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """Confidence of one plate: mean probability of cartilage between its edges; mean entropy within a step of them, in
    bits.
    """

    probability: float
    entropy_bits: float


def certainty(probability: FloatVolume, inner_mm: FloatVolume, outer_mm: FloatVolume) -> Certainty | None:
    """Confidence over all rays of a bone; None without cartilage.

    probability  (n, ANSWERS, len(DEPTHS_MM)); edges (n,) from network.edges_mm

    Every ray represents the same area of bone, so the mean is over the volume of the plate.
    """
    covered = outer_mm > inner_mm
    between = covered[:, None] & (inner_mm[:, None] <= DEPTHS_MM) & (outer_mm[:, None] >= DEPTHS_MM)
    if not between.any():
        return None
    near = np.minimum(np.abs(inner_mm[:, None] - DEPTHS_MM), np.abs(outer_mm[:, None] - DEPTHS_MM)) <= STEP_MM
    doubt = entropy_bits(probability.max(axis=1)[covered[:, None] & near])
    return Certainty(
        probability=float(probability[:, 1][between].mean(dtype=np.float64)),
        entropy_bits=float(doubt.mean(dtype=np.float64)) if len(doubt) else 0.0,
    )

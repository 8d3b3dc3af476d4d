"""How sure the network for edges was of the cartilage that it found: not calibrated (segmentation/confidence.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.segmentation.confidence import entropy_bits
from pipeline.segmentation.edges.profiles import DEPTHS_MM, STEP_MM
from pipeline.segmentation.sampling import FloatVolume


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """Of one plate: mean probability of cartilage between its edges; mean entropy within a step of them, in bits."""

    probability: float
    entropy_bits: float


def certainty(probability: FloatVolume, inner_mm: FloatVolume, outer_mm: FloatVolume) -> Certainty | None:
    """Of the network's answer to all rays of a bone; None where it found no cartilage.

    probability  (n, ANSWERS, len(DEPTHS_MM)); edges (n,) as network.edges_mm reads them
    Every ray stands for the same area of bone, so that the mean is one over the volume of the plate.
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

"""Confidence of a network per structure, from its own probabilities: not calibrated. Both figures are computed before
post-processing, so voxels removed later reduce the confidence. For cartilage with edges located along rays they are
computed along these rays (edges/certainty.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Plate, Structure, Tissue
from pipeline.segmentation.upsampling import CERTAIN
from pipeline.types import LabelArray


def entropy_bits(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy of the most probable class against all others, given its probability (0 to 1); 0 at the ends."""
    p = np.asarray(probability, np.float64)
    q = 1 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + q * np.log2(q))
    return np.where((p <= 0) | (q <= 0), 0.0, bits)


def _entropy_table() -> NDArray[np.float64]:
    """(CERTAIN + 1,): certainty of the most probable class -> entropy of that class against all others, in bits."""
    return entropy_bits(np.arange(CERTAIN + 1) / CERTAIN)


ENTROPY_BITS: Final = _entropy_table()


def mean_probability(
    labels: LabelArray, certainty: LabelArray, structures: Mapping[int, Structure]
) -> dict[Structure, float]:
    """Mean probability of a structure over its voxels, 0 to 1; missing structures are left out.

    labels, certainty  (a, b, c), as written by upsampling.write_labels; structures: label -> structure
    """
    return {
        structure: float(certainty[mask].mean() / CERTAIN)
        for label, structure in structures.items()
        if (mask := labels == label).any()
    }


def surface_entropy(
    labels: LabelArray, certainty: LabelArray, structures: Mapping[int, Structure]
) -> dict[Structure, float]:
    """Mean entropy within a voxel of a structure's surface, in bits: 0 for certainty, 1 for probability 0.5.

    The mean is over the voxels on either side of every face between the structure and something else. The entropy is
    that of the voxel's most probable class against all others, which equals the Shannon entropy of two classes. Voxels
    without computed certainty (0) are left out.
    """
    total, count = np.zeros(256), np.zeros(256)
    for axis in range(3):
        lower, upper = (np.moveaxis(labels, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        face = lower != upper
        pair = [np.moveaxis(certainty, axis, 0)[part][face] for part in (slice(None, -1), slice(1, None))]
        bits = ENTROPY_BITS[pair[0]] + ENTROPY_BITS[pair[1]]
        known = (pair[0] > 0).astype(np.float64) + (pair[1] > 0)
        for side in (lower[face], upper[face]):
            total += np.bincount(side, weights=bits, minlength=256)
            count += np.bincount(side, weights=known, minlength=256)
    return {structure: float(total[k] / count[k]) for k, structure in structures.items() if count[k]}


def cartilage_mean(values: Mapping[Structure, float]) -> float | None:
    """Mean of a figure over the plates of cartilage that have it; None if none has."""
    found = [value for structure, value in values.items() if structure.tissue is Tissue.CARTILAGE]
    return float(np.mean(found)) if found else None


def title_of(structure: Structure, known: Collection[Structure]) -> str:
    """Display name. A single tibial label is stored as its medial half until it is split by anatomy."""
    one = structure is Structure.MEDIAL_TIBIAL_CARTILAGE and Structure.LATERAL_TIBIAL_CARTILAGE not in known
    return Plate.TIBIAL.display_name if one else structure.title

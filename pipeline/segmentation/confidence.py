"""How sure a network was of its own answer, structure by structure, as it says so itself: not calibrated.

Both figures are of the answer before post-processing: what is cleaned away later counts as doubt. Of cartilage whose
edges are read along rays they are the answer's along these rays (edges/certainty.py).
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
    """Mean probability of a structure over its own voxels, 0 to 1; structures that were not found are left out.

    labels, certainty  (a, b, c), as upsampling.write_labels leaves them; structures: label -> structure
    """
    return {
        structure: float(certainty[mask].mean() / CERTAIN)
        for label, structure in structures.items()
        if (mask := labels == label).any()
    }


def surface_entropy(
    labels: LabelArray, certainty: LabelArray, structures: Mapping[int, Structure]
) -> dict[Structure, float]:
    """Mean entropy within a voxel of a structure's surface, in bits: 0 where the network is sure, 1 for a coin toss.

    The mean is over the voxels on either side of every face between the structure and something else. The entropy is
    that of the voxel's most probable class against all others, which is Shannon's wherever two classes compete. Voxels
    whose certainty nobody computed (0) are left out.
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
    """Mean of a figure over the plates of cartilage that have it; None where none has."""
    found = [value for structure, value in values.items() if structure.tissue is Tissue.CARTILAGE]
    return float(np.mean(found)) if found else None


def title_of(structure: Structure, known: Collection[Structure]) -> str:
    """Name for people. A network that outlines tibial cartilage as one names it by its first half; anatomy parts it."""
    one = structure is Structure.MEDIAL_TIBIAL_CARTILAGE and Structure.LATERAL_TIBIAL_CARTILAGE not in known
    return Plate.TIBIAL.display_name if one else structure.title

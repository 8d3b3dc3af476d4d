"""Compartments of the tibial and sub-regions of the femoral cartilage, determined in the frame of the reference knee.


The femoral rules are those used with pymskt (anterior; medial and lateral weight-bearing and posterior), applied here
to points in millimetres, so that they are independent of the grid.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import (
    FEMUR_ANTERIOR,
    FEMUR_LATERAL_POSTERIOR,
    FEMUR_LATERAL_WEIGHT_BEARING,
    FEMUR_MEDIAL_POSTERIOR,
    FEMUR_MEDIAL_WEIGHT_BEARING,
    LATERAL_OF,
    PATELLA_WHOLE,
    TIBIA_LATERAL,
    TIBIA_MEDIAL,
    Structure,
    Tissue,
)
from pipeline.grid import FloatArray
from pipeline.types import Alignment, LabelArray, Segmentation

MEDIAL, POSTERIOR = 0, 1
"""Axes of the reference frame, each increasing in the direction of its name."""

SLICE_MM: Final = 0.7
"""Width of the sagittal bins in which the notch is searched."""

FRONTAL_BIN_MM: Final = 0.5
"""Depth of the frontal bins in which upward-wrapping cartilage is identified."""

WEIGHT_BEARING_SHARE: Final = 0.6
"""Weight-bearing fraction of the distance from the notch to the posterior end (Eckstein et al. 2006)."""

WRAP_SHARE: Final = 0.67
"""Cartilage above this fraction of the distance from the top of the plate down to its mean height wraps upwards."""

TILT_DEG: Final = 9.0
"""The rules are defined in the pose of pymskt's example knee, which is tilted by this angle about the medial axis of
our frame. Determined on that one knee: lowest Dice of a region against pymskt 0.92 at 0, 0.98 at 6, 0.99 at 9 degrees.
"""

CENTRAL_SHARE: Final = 0.6
"""Central fraction of the plate's width that can contain the notch."""

_MIXED_SHARE: Final = 0.15
"""A component with at least this fraction on each side of the centre is two touching plates or menisci."""


_UNDIVIDED: Final = {
    Structure.MEDIAL_TIBIAL_CARTILAGE: TIBIA_MEDIAL,
    Structure.LATERAL_TIBIAL_CARTILAGE: TIBIA_LATERAL,
    Structure.PATELLAR_CARTILAGE: PATELLA_WHOLE,
}
"""Structures that are one region each."""


def tilted(points_ref: FloatArray) -> FloatArray:
    """(n, 3) reference frame -> the pose in which the femoral rules are defined."""
    cosine, sine = np.cos(np.radians(TILT_DEG)), np.sin(np.radians(TILT_DEG))
    medial, posterior, superior = points_ref.T
    return np.stack([medial, cosine * posterior + sine * superior, cosine * superior - sine * posterior], axis=1)


def femoral_regions(points: FloatArray, voxel_mm: tuple[float, float]) -> LabelArray:
    """The region label of each femoral cartilage voxel.

    points (n, 3): voxel centres in mm, in the reference frame tilted by TILT_DEG; voxel_mm: extent of a voxel along its
    medial and posterior axis, the minimum width of bins. Returns (n,) uint8 labels of anatomy.REGIONS.
    """
    medial, posterior, superior = points.T
    slice_mm, frontal_mm = max(SLICE_MM, voxel_mm[MEDIAL]), max(FRONTAL_BIN_MM, voxel_mm[POSTERIOR])
    notch_medial, notch_posterior = notch_of(medial, posterior, slice_mm)
    end = posterior.max()
    boundary = notch_posterior + WEIGHT_BEARING_SHARE * (end - notch_posterior)
    behind = posterior >= boundary
    wraps = superior > _wrap_height(posterior, superior, frontal_mm)
    is_medial = medial > notch_medial
    weight_bearing = ~behind & ~wraps
    labels = np.select(
        [
            posterior < notch_posterior,
            weight_bearing & is_medial,
            weight_bearing,
            is_medial,
        ],
        [
            FEMUR_ANTERIOR.label,
            FEMUR_MEDIAL_WEIGHT_BEARING.label,
            FEMUR_LATERAL_WEIGHT_BEARING.label,
            FEMUR_MEDIAL_POSTERIOR.label,
        ],
        FEMUR_LATERAL_POSTERIOR.label,
    )
    return labels.astype(np.uint8)


def notch_of(medial: FloatArray, posterior: FloatArray, slice_mm: float) -> tuple[float, float]:
    """(medial, posterior) mm of the notch: the sagittal slice whose most posterior cartilage is most anterior.

    medial, posterior (n,) mm of cartilage, or of bone under it; slice_mm: width of the slices
    """
    slices = np.floor((medial - medial.min()) / slice_mm).astype(np.int64)
    count = int(slices.max()) + 1
    reach = np.full(count, -np.inf)
    np.maximum.at(reach, slices, posterior)
    reach[np.isneginf(reach)] = np.inf
    edge = int(count * (1 - CENTRAL_SHARE) / 2)
    central = reach[edge : count - edge]
    depth = float(central.min())
    # several slices contain the base of the notch within a voxel: use its centre, equal for a knee and its mirror image
    floor = np.flatnonzero(central <= depth + FRONTAL_BIN_MM) + edge
    return float(medial.min() + (floor.mean() + 0.5) * slice_mm), depth


def _wrap_height(posterior: FloatArray, superior: FloatArray, frontal_mm: float) -> FloatArray:
    """(n,) height above which cartilage at each point's frontal slice wraps upwards."""
    frontal = np.floor((posterior - posterior.min()) / frontal_mm).astype(np.int64)
    count = np.maximum(np.bincount(frontal), 1)
    mean = np.bincount(frontal, weights=superior) / count
    height: FloatArray = (WRAP_SHARE * mean + (1 - WRAP_SHARE) * superior.max())[frontal]
    return height


def split_compartments(segmentation: Segmentation, alignment: Alignment) -> Segmentation:
    """Separate medial and lateral tibial cartilage, and the menisci, where the segmentation does not.

    Each connected component is assigned to the side with most of its voxels. A component with a large part on each side
    is two touching plates or menisci, and is split at the centre of the tibial plateau.
    """
    if segmentation.compartments_apart:
        return segmentation
    labels = segmentation.labels.copy()
    centre = None
    for medial, lateral in LATERAL_OF.items():  # tibial cartilage comes first: it determines the centre
        places = {s: _medial_mm(segmentation, alignment, s) for s in (medial, lateral) if s in segmentation.boxes}
        if not places:
            continue
        if centre is None:
            every = np.concatenate(list(places.values()))
            centre = float((every.min() + every.max()) / 2)
        if places.keys() == {medial}:
            box = segmentation.boxes[medial]
            here = labels[box] == medial
            labels[box][here] = np.where(_on_medial_side(here, places[medial] > centre), medial, lateral)
    return replace(segmentation, labels=labels, compartments_apart=True)


def _medial_mm(segmentation: Segmentation, alignment: Alignment, structure: Structure) -> FloatArray:
    """(n,): coordinate of every voxel of a structure, which is present, along the medial axis of the reference."""
    box = segmentation.boxes[structure]
    index = np.argwhere(segmentation.labels[box] == structure) + [side.start for side in box]
    return np.asarray(alignment.to_reference(segmentation.grid.to_mm(index))[:, MEDIAL])


def _on_medial_side(mask: NDArray[np.bool_], is_medial: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) of the voxels in the mask: the side of the component's majority, unless much of it is on each side."""
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    piece = pieces[mask]
    share = np.bincount(piece, weights=is_medial, minlength=count + 1) / np.maximum(np.bincount(piece), 1)
    whole = np.minimum(share, 1 - share) < _MIXED_SHARE
    return np.where(whole[piece], share[piece] > 0.5, is_medial)


def without_menisci(segmentation: Segmentation) -> Segmentation:
    """The same with the menisci as background."""
    menisci = [structure for structure in segmentation.boxes if structure.tissue is Tissue.MENISCUS]
    if not menisci:
        return segmentation
    return replace(segmentation, labels=np.where(segmentation.mask(*menisci), np.uint8(0), segmentation.labels))


def subregions(segmentation: Segmentation, alignment: Alignment) -> LabelArray:
    """(z, y, x) uint8: the region label of every cartilage voxel, 0 elsewhere. Requires separate compartments."""
    result = np.zeros(segmentation.grid.shape, dtype=np.uint8)
    for structure, box in segmentation.boxes.items():
        here = segmentation.labels[box] == structure
        if structure is Structure.FEMORAL_CARTILAGE:
            grid, index = segmentation.grid, np.argwhere(here) + [side.start for side in box]
            # columns: a voxel's three edges in the reference frame
            edges = np.abs(alignment.matrix[:3, :3] @ grid.affine[:3, :3])
            voxel_mm = float(edges[MEDIAL].max()), float(edges[POSTERIOR].max())
            result[box][here] = femoral_regions(tilted(alignment.to_reference(grid.to_mm(index))), voxel_mm)
        elif structure in _UNDIVIDED:
            result[box][here] = _UNDIVIDED[structure].label
    return result

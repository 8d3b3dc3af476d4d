"""Replaces the edges of the first pass by those located in the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.edges.certainty import Certainty, certainty
from pipeline.segmentation.edges.network import Ensemble, edges_mm
from pipeline.segmentation.edges.profiles import blur_along, features, read
from pipeline.segmentation.edges.rays import cast
from pipeline.segmentation.edges.relabel import Claim, claim_of, relabel
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.sampling import FloatVolume
from pipeline.types import LabelArray

LONGEST_MM: Final = 2.0
"""Along rays whose voxels are longer than this the labels of the first pass are kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Located:
    """The edges of one bone and its cartilage. claim: its voxels; certainty: None without cartilage."""

    cartilage: int
    claim: Claim | None
    certainty: Certainty | None


def locate_edges(
    networks: Ensemble,
    image: FloatVolume,
    frame: Frame,
    kept: NDArray[np.uint8],
    pairs: list[tuple[int, int]],
    number: int,
    threads: int = 1,
) -> Located | None:
    """The edges of one bone and its cartilage; None if it has no rays.

    image   (a, b, c) of the scan, in the network's axes; frame, kept: the first pass (first_pass.recorded)
    pairs   (bone, cartilage) classes, in the order used in training; number: which of them
    """
    bone, cartilage = pairs[number]
    rays = cast(kept, frame.resolution_mm, bone, cartilage)
    if rays is None:
        return None
    profiles = read(image, frame.spacing_mm, kept, frame.resolution_mm, rays, pairs)
    blur_mm = blur_along(rays, frame.spacing_mm)
    clear = np.flatnonzero(blur_mm < LONGEST_MM)
    if not len(clear):
        return None
    probability = networks(features(profiles, rays, blur_mm, number, clear))
    inner, outer = edges_mm(probability)
    return Located(
        cartilage=cartilage,
        claim=claim_of(rays.only(clear), inner, outer, frame, threads),
        certainty=certainty(probability, inner, outer),
    )


def refine_edges(located: list[Located], labels: LabelArray) -> dict[int, Certainty]:
    """Overwrite labels (the scan's voxels in the network's axes) around every surface that has cartilage.

    Returns the confidence per cartilage label; plates without rays are left out.
    """
    relabel(labels, [one.claim for one in located if one.claim is not None])
    return {one.cartilage: one.certainty for one in located if one.certainty is not None}

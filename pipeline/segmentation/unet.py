"""The built-in family: a compact U-Net at one isotropic resolution, in overlapping windows; the cascade has two.

Where the card names a network for edges, bone and cartilage end where that one reads it from the image (boundaries/).

Windows, not one full pass: the network normalises by what it sees, and whole knees made one in three much worse.
Memory grows with the slice, not with the length of the field of view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pipeline.anatomy import BONE_OF, Structure, Tissue
from pipeline.errors import OutOfMemory, WeightsCorrupt
from pipeline.segmentation.boundaries.network import read_network
from pipeline.segmentation.boundaries.sharpen import sharpen
from pipeline.segmentation.catalogue import ModelCard
from pipeline.segmentation.confidence import mean_probability, surface_entropy
from pipeline.segmentation.frame import Frame, whole
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.postprocess import clean
from pipeline.segmentation.runtime import Network, load_network
from pipeline.segmentation.sampling import standardise, to_isotropic
from pipeline.segmentation.second_pass import look_again, recorded
from pipeline.segmentation.upsampling import write_labels
from pipeline.segmentation.windows import averaged, plan, window_count
from pipeline.types import LabelArray, Resources, Scan, Segmentation

OVERLAP: Final = 0.25
"""Least share of a window that its neighbour sees too."""
FIRST_PASS_SHARE: Final = 0.5
"""Of the progress, where there are two passes."""


def segment(card: ModelCard, scan: Scan, resources: Resources, on_progress: Callable[[float], None]) -> Segmentation:
    """Canonical labels on the scan's grid, cleaned. on_progress is told 0 to 1 after every window.

    Raises ModelError: WeightsMissing, WeightsCorrupt, OutOfMemory.
    """
    try:
        return clean(_segment(card, scan, resources, on_progress))
    except MemoryError as error:
        raise OutOfMemory(
            f"No memory to segment a scan of {' x '.join(map(str, scan.grid.shape))} voxels.",
            hint="Run fewer analyses at once.",
        ) from error


def load(card: ModelCard, resources: Resources) -> Network:
    """A card's network. Raises WeightsMissing, WeightsCorrupt, OutOfMemory."""
    network = load_network(card.weights, card.sha256, resources, card.inputs)
    if network.classes != len(card.native_labels) + 1:
        raise WeightsCorrupt(
            f"The network answers {network.classes - 1} labels; its card names {len(card.native_labels)}."
        )
    return network


def _segment(card: ModelCard, scan: Scan, resources: Resources, on_progress: Callable[[float], None]) -> Segmentation:
    opening = card.first or card
    order = nearest_order(scan.grid, opening.axes)
    image, spacing = order.to_network(scan.anatomical), order.spacing_mm(scan.grid)
    shape = image.shape[0], image.shape[1], image.shape[2]
    frame = Frame(shape=shape, spacing_mm=spacing, box=whole(shape), resolution_mm=opening.resolution_mm)
    labels, certainty = (np.empty(frame.shape, dtype=np.uint8) for _ in range(2))
    network = load(opening, resources)
    volume = standardise(to_isotropic(image, spacing, frame.resolution_mm))[None]
    axes = plan(frame.isotropic, opening.window_voxels, OVERLAP)
    total, done = window_count(axes), 0
    share = FIRST_PASS_SHARE if card.first else 1.0

    def on_window() -> None:
        nonlocal done
        done += 1
        on_progress(share * done / total)

    slabs = averaged(volume, axes, network.classes, network, on_window)
    again = card.first is not None or card.boundaries is not None
    kept = np.empty((network.classes - 1 if again else 0, *frame.isotropic), dtype=np.uint8)
    if again:
        slabs = recorded(slabs, kept)
    write_labels(slabs, frame.isotropic, frame.of_scan(frame.box), labels, certainty)
    if card.first is not None:
        look_again(
            load(card, resources),
            image,
            frame,
            kept,
            cartilage=tuple(k for k in card.native_labels if _structure(card, k).tissue is Tissue.CARTILAGE),
            resolution_mm=card.resolution_mm,
            window_voxels=card.window_voxels,
            labels=labels,
            certainty=certainty,
            on_share=lambda s: on_progress(share + (1.0 - share) * s),
        )
        on_progress(1.0)
    structures = {label: _structure(card, label) for label in card.native_labels}
    confidence = mean_probability(labels, certainty, structures)
    entropy = surface_entropy(labels, certainty, structures)
    if card.boundaries is not None:
        sharpen(read_network(card.boundaries, card.boundaries_sha256), image, frame, kept, _pairs(structures), labels)
    return Segmentation(
        labels=np.ascontiguousarray(order.from_network(_canonical(card, labels))),
        grid=scan.grid,
        model_id=card.id,
        compartments_apart=card.native_to_canonical.compartments_apart,
        confidence=confidence,
        surface_entropy_bits=entropy,
    )


def _structure(card: ModelCard, native: int) -> Structure:
    structure = card.native_to_canonical.to_canonical[native]
    if structure is None:
        raise WeightsCorrupt(f"Label {native} ({card.native_labels[native]}) of {card.id} stands for no structure.")
    return structure


def _pairs(structures: Mapping[int, Structure]) -> list[tuple[int, int]]:
    """(bone, cartilage) labels, in the order of the bones'."""
    label_of = {structure: label for label, structure in structures.items()}
    pairs = ((label_of.get(bone), label_of.get(cartilage)) for cartilage, bone in BONE_OF.items())
    return sorted((bone, cartilage) for bone, cartilage in pairs if bone is not None and cartilage is not None)


def _canonical(card: ModelCard, labels: LabelArray) -> LabelArray:
    table = np.zeros(256, dtype=np.uint8)
    for native in card.native_labels:
        table[native] = _structure(card, native)
    return table[labels]

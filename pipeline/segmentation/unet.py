"""The built-in family: a compact U-Net at one isotropic resolution, in overlapping windows.

In the cascade, bone and cartilage end where a second network reads it from the image (edges/).

Windows, not one full pass: the network normalises by what it sees, and whole knees made one in three much worse.
Memory grows with the slice, not with the length of the field of view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pipeline.anatomy import BONE_OF, Structure
from pipeline.errors import OutOfMemory, WeightsCorrupt
from pipeline.segmentation.catalogue import ModelCard
from pipeline.segmentation.confidence import mean_probability, surface_entropy
from pipeline.segmentation.edges.network import Ensemble, read_ensemble
from pipeline.segmentation.edges.refine import refine_edges
from pipeline.segmentation.first_pass import recorded
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.postprocess import clean
from pipeline.segmentation.runtime import Network, load_network
from pipeline.segmentation.sampling import standardise, to_isotropic
from pipeline.segmentation.upsampling import write_labels
from pipeline.segmentation.windows import averaged, plan, window_count
from pipeline.types import LabelArray, Resources, Scan, Segmentation

OVERLAP: Final = 0.25
"""Least share of a window that its neighbour sees too."""
EDGES_SHARE: Final = 0.3
"""Of the progress, where edges are read after the pass."""


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
    """The network on voxels: the card's own, or of the pass that it refines.

    Raises WeightsMissing, WeightsCorrupt, OutOfMemory.
    """
    opening = card.first or card
    network = load_network(opening.weights, opening.sha256, resources)
    if network.classes != len(opening.native_labels) + 1:
        raise WeightsCorrupt(
            f"The network answers {network.classes - 1} labels; its card names {len(opening.native_labels)}."
        )
    return network


def load_edges(card: ModelCard) -> Ensemble | None:
    """The networks that read edges; None for one pass. Raises WeightsMissing, WeightsCorrupt."""
    return read_ensemble(card.weights, card.sha256) if card.first else None


def _segment(card: ModelCard, scan: Scan, resources: Resources, on_progress: Callable[[float], None]) -> Segmentation:
    order = nearest_order(scan.grid, card.axes)
    image, spacing = order.to_network(scan.anatomical), order.spacing_mm(scan.grid)
    shape = image.shape[0], image.shape[1], image.shape[2]
    frame = Frame(shape=shape, spacing_mm=spacing, resolution_mm=card.resolution_mm)
    labels, certainty = (np.empty(frame.shape, dtype=np.uint8) for _ in range(2))
    network, edges = load(card, resources), load_edges(card)
    volume = standardise(to_isotropic(image, spacing, frame.resolution_mm))[None]
    axes = plan(frame.isotropic, card.window_voxels, OVERLAP)
    total, done = window_count(axes), 0
    share = 1.0 - EDGES_SHARE if edges else 1.0

    def on_window() -> None:
        nonlocal done
        done += 1
        on_progress(share * done / total)

    slabs = averaged(volume, axes, network.classes, network, on_window)
    kept = np.empty((network.classes - 1 if edges else 0, *frame.isotropic), dtype=np.uint8)
    if edges:
        slabs = recorded(slabs, kept)
    write_labels(slabs, frame.isotropic, frame.places, labels, certainty, network.threads)
    structures = {label: _structure(card, label) for label in card.native_labels}
    confidence = mean_probability(labels, certainty, structures)
    entropy = surface_entropy(labels, certainty, structures)
    if edges:
        for label, sure in refine_edges(edges, image, frame, kept, _pairs(structures), labels).items():
            confidence[structures[label]] = sure.probability
            entropy[structures[label]] = sure.entropy_bits
        on_progress(1.0)
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

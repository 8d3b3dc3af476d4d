"""A compact U-Net at one isotropic resolution, in overlapping windows.

Windows are used instead of the full volume: the network normalises over its input, and with whole knees one in three
results was much worse. Memory depends on the slice size, not on the length of the field of view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.anatomy import BONE_OF, Structure
from pipeline.errors import WeightsCorrupt
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.confidence import mean_probability, surface_entropy
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.orientation import AxisOrder, nearest_order
from pipeline.segmentation.runtime import Look
from pipeline.segmentation.sampling import FloatVolume, standardise, to_isotropic
from pipeline.segmentation.upsampling import Slabs, write_labels
from pipeline.segmentation.windows import averaged, plan, window_count
from pipeline.types import LabelArray, Scan, Segmentation

OVERLAP: Final = 0.25
"""Minimum overlap of neighbouring windows, as a fraction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A scan in a network's axes. image (a, b, c): its grey values; frame: its grid and the isotropic one over it."""

    order: AxisOrder
    image: FloatVolume
    frame: Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """Native labels (a, b, c) on the scan's voxels in a network's axes, and their certainty (upsampling.write_labels).

    structures: label -> structure
    """

    labels: LabelArray
    certainty: LabelArray
    structures: Mapping[int, Structure]


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """Per structure: mean probability, and mean entropy near the surface in bits (segmentation/confidence.py)."""

    probability: dict[Structure, float]
    surface_entropy_bits: dict[Structure, float]


def view_of(scan: Scan, axes: str, resolution_mm: float) -> View:
    """axes: code of orientation.py."""
    order = nearest_order(scan.grid, axes)
    image = order.to_network(scan.anatomical)
    shape = image.shape[0], image.shape[1], image.shape[2]
    frame = Frame(shape=shape, spacing_mm=order.spacing_mm(scan.grid), resolution_mm=resolution_mm)
    return View(order=order, image=image, frame=frame)


def network_input(view: View) -> FloatVolume:
    """(1, d, h, w): the image on the isotropic grid, standardised."""
    return standardise(to_isotropic(view.image, view.frame.spacing_mm, view.frame.resolution_mm))[None]


def probabilities(network: Look, volume: FloatVolume, window_voxels: int, report: Callable[[float], None]) -> Slabs:
    """Probabilities of every class on the isotropic grid; reports the completed fraction after every window.

    volume: from network_input. Raises OutOfMemory, ModelError.
    """
    d, h, w = volume.shape[1:]
    axes = plan((d, h, w), window_voxels, OVERLAP)
    total, done = window_count(axes), 0

    def on_window() -> None:
        nonlocal done
        done += 1
        report(done / total)

    return averaged(volume, axes, network.classes, network, on_window, network.at_once)


def answer(card: ModelCard, slabs: Slabs, view: View, threads: int) -> Answer:
    """The most probable class of every voxel of the scan. Raises as `probabilities`, which is evaluated lazily."""
    labels, certainty = (np.empty(view.frame.shape, dtype=np.uint8) for _ in range(2))
    write_labels(slabs, view.frame.isotropic, view.frame.places, labels, certainty, threads)
    structures = {label: _structure(card, label) for label in card.native_labels}
    return Answer(labels=labels, certainty=certainty, structures=structures)


def confidence(found: Answer) -> Confidence:
    """Confidence in labels that were not changed since."""
    return Confidence(
        probability=mean_probability(found.labels, found.certainty, found.structures),
        surface_entropy_bits=surface_entropy(found.labels, found.certainty, found.structures),
    )


def segmentation(card: ModelCard, scan: Scan, view: View, found: Answer, sure: Confidence) -> Segmentation:
    """Canonical labels on the scan's grid."""
    table = np.zeros(256, dtype=np.uint8)
    for label, structure in found.structures.items():
        table[label] = structure
    return Segmentation(
        labels=np.ascontiguousarray(view.order.from_network(table[found.labels])),
        grid=scan.grid,
        model_id=card.id,
        compartments_apart=card.native_to_canonical.compartments_apart,
        confidence=sure.probability,
        surface_entropy_bits=sure.surface_entropy_bits,
    )


def bone_and_cartilage(structures: Mapping[int, Structure]) -> list[tuple[int, int]]:
    """(bone, cartilage) labels, in the order of the bones'."""
    label_of = {structure: label for label, structure in structures.items()}
    pairs = ((label_of.get(bone), label_of.get(cartilage)) for cartilage, bone in BONE_OF.items())
    return sorted((bone, cartilage) for bone, cartilage in pairs if bone is not None and cartilage is not None)


def _structure(card: ModelCard, native: int) -> Structure:
    structure = card.native_to_canonical.to_canonical[native]
    if structure is None:
        raise WeightsCorrupt(f"Label {native} ({card.native_labels[native]}) of {card.id} has no structure.")
    return structure

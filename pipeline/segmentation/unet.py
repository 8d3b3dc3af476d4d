"""The built-in family: a compact U-Net at one isotropic resolution, in overlapping windows.

Windows, not one full pass: the network normalises by what it sees, and whole knees made one in three much worse.
Memory grows with the slice, not with the length of the field of view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.anatomy import Structure, Tissue
from pipeline.errors import OutOfMemory, WeightsCorrupt
from pipeline.grid import FloatArray
from pipeline.segmentation.catalogue import Family, ModelCard
from pipeline.segmentation.confidence import mean_probability, surface_entropy
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.postprocess import clean
from pipeline.segmentation.runtime import Network, load_network
from pipeline.segmentation.sampling import FloatVolume, positions, to_isotropic
from pipeline.segmentation.upsampling import write_labels
from pipeline.segmentation.windows import Predict, averaged, plan, window_count
from pipeline.types import LabelArray, Resources, Scan, Segmentation

Box = tuple[slice, slice, slice]

OVERLAP: Final = 0.25
"""Least share of a window that its neighbour sees too."""
DENSE_OVERLAP: Final = 0.5
"""The same in the second pass."""
QUANTILES: Final = (0.001, 0.999)
"""Intensities are clipped to these before they are standardised, the upper one times HEADROOM; as in training."""
HEADROOM: Final = 1.2
QUANTILE_STRIDE: Final = 7
"""Every 7th voxel tells the quantiles."""
STRAY_SHARE: Final = 0.005
"""Share of the cartilage voxels at either end of an axis that may be strays of the first pass."""
JOINT_MARGIN_MM: Final = 15.0
"""How far beyond the first pass's cartilage the second pass answers."""
CONTEXT_MM: Final = 8.0
"""How far beyond that it sees."""
FIRST_PASS_SHARE: Final = 0.35
"""Of the progress, where there are two passes."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The scan's grid in the network's axes, and the network's isotropic one over the same field of view."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    isotropic: tuple[int, int, int]
    resolution_mm: float

    def where(self, axis: int) -> FloatArray:
        """(n,): the scan's voxel centres along an axis, in the isotropic index."""
        return positions(self.shape[axis], self.spacing_mm[axis], self.resolution_mm)

    @property
    def whole(self) -> Box:
        """Every voxel of the scan."""
        a, b, c = (slice(0, n) for n in self.shape)
        return a, b, c

    def around(self, box: Box, margin_mm: float) -> Box:
        """A box of the scan's voxels, grown by a margin and cut at the field of view."""
        a, b, c = (
            slice(max(0, int(side.start - margin_mm / spacing)), min(n, int(np.ceil(side.stop + margin_mm / spacing))))
            for side, spacing, n in zip(box, self.spacing_mm, self.shape, strict=True)
        )
        return a, b, c

    def to_isotropic(self, box: Box) -> Box:
        """The isotropic voxels that cover a box of the scan's voxels."""
        where = [self.where(axis)[side] for axis, side in enumerate(box)]
        a, b, c = (
            slice(int(np.clip(np.floor(w[0]), 0, n - 1)), int(np.clip(np.ceil(w[-1]) + 1, 1, n)))
            for w, n in zip(where, self.isotropic, strict=True)
        )
        return a, b, c


def segment(card: ModelCard, scan: Scan, resources: Resources, on_progress: Callable[[float], None]) -> Segmentation:
    """Canonical labels on the scan's grid, cleaned. on_progress is told 0 to 1 after every window.

    Raises ModelError: WeightsMissing, WeightsCorrupt, OutOfMemory.
    """
    network = load_network(card.weights, card.sha256, resources)
    if network.classes != len(card.native_labels) + 1:
        raise WeightsCorrupt(
            f"The network answers {network.classes - 1} labels; its card names {len(card.native_labels)}."
        )
    try:
        return clean(_segment(card, network, scan, on_progress))
    except MemoryError as error:
        raise OutOfMemory(
            f"No memory to segment a scan of {' x '.join(map(str, scan.grid.shape))} voxels.",
            hint="Run fewer analyses at once.",
        ) from error


def standardise(volume: FloatVolume) -> FloatVolume:
    """Clip to the quantiles, subtract the mean, divide by the standard deviation."""
    low, high = np.quantile(volume.reshape(-1)[::QUANTILE_STRIDE], QUANTILES)
    clipped: FloatVolume = np.clip(volume, low, max(high, high * HEADROOM), dtype=np.float32)
    clipped -= np.float32(clipped.mean(dtype=np.float64))
    clipped /= np.float32(clipped.std(dtype=np.float64) + 1e-6)
    return clipped


def mirrored(predict: Predict, axes: str) -> Predict:
    """The average of what a network says to a window and to its mirror image from side to side."""
    axis = next(k for k, letter in enumerate(axes) if letter in "LR")

    def both(window: FloatVolume) -> FloatVolume:
        answer = predict(window)
        answer += np.flip(predict(np.ascontiguousarray(np.flip(window, axis))), axis + 1)
        answer *= 0.5
        return answer

    return both


def joint_box(labels: LabelArray, cartilage: tuple[int, ...]) -> Box | None:
    """Where the cartilage lies, a few strays at the ends left out; None where there is none."""
    table = np.zeros(256, dtype=bool)
    table[list(cartilage)] = True
    mask = table[labels]
    sides = []
    for axis in range(3):
        counts = np.cumsum(mask.sum(axis=tuple(k for k in range(3) if k != axis)))
        if counts[-1] == 0:
            return None
        first, last = np.searchsorted(counts, (STRAY_SHARE * counts[-1], (1 - STRAY_SHARE) * counts[-1]))
        sides.append(slice(int(first), int(last) + 1))
    a, b, c = sides
    return a, b, c


def _segment(card: ModelCard, network: Network, scan: Scan, on_progress: Callable[[float], None]) -> Segmentation:
    order = nearest_order(scan.grid, card.axes)
    image, spacing = order.to_network(scan.anatomical), order.spacing_mm(scan.grid)
    volume = standardise(to_isotropic(image, spacing, card.resolution_mm))
    shapes = [(a, b, c) for a, b, c in (image.shape, volume.shape)]
    frame = Frame(shape=shapes[0], spacing_mm=spacing, isotropic=shapes[1], resolution_mm=card.resolution_mm)
    labels, certainty = (np.empty(frame.shape, dtype=np.uint8) for _ in range(2))
    look = _Looker(card=card, classes=network.classes, volume=volume, frame=frame, labels=labels, certainty=certainty)
    if card.family is Family.UNET_TWICE:
        look(network, frame.whole, OVERLAP, lambda share: on_progress(FIRST_PASS_SHARE * share))
        cartilage = tuple(k for k in card.native_labels if _structure(card, k).tissue is Tissue.CARTILAGE)
        box = joint_box(labels, cartilage) or frame.whole
        second = mirrored(network, card.axes)
        answered = frame.around(box, JOINT_MARGIN_MM)
        look(second, answered, DENSE_OVERLAP, lambda s: on_progress(FIRST_PASS_SHARE + (1 - FIRST_PASS_SHARE) * s))
    else:
        look(network, frame.whole, OVERLAP, on_progress)
    structures = {label: _structure(card, label) for label in card.native_labels}
    return Segmentation(
        labels=np.ascontiguousarray(order.from_network(_canonical(card, labels))),
        grid=scan.grid,
        model_id=card.id,
        compartments_apart=card.native_to_canonical.compartments_apart,
        confidence=mean_probability(labels, certainty, structures),
        surface_entropy_bits=surface_entropy(labels, certainty, structures),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Looker:
    """One pass of a network over a box of the scan; writes labels and certainty there."""

    card: ModelCard
    classes: int
    volume: FloatVolume
    frame: Frame
    labels: LabelArray
    certainty: LabelArray

    def __call__(self, predict: Predict, answered: Box, overlap: float, on_share: Callable[[float], None]) -> None:
        seen = self.frame.to_isotropic(self.frame.around(answered, CONTEXT_MM))
        volume = self.volume[seen]
        counts = volume.shape[0], volume.shape[1], volume.shape[2]
        axes = plan(counts, self.card.window_voxels, overlap)
        total, done = window_count(axes), 0

        def on_window() -> None:
            nonlocal done
            done += 1
            on_share(done / total)

        a, b, c = (self.frame.where(axis)[answered[axis]] - seen[axis].start for axis in range(3))
        slabs = averaged(volume, axes, self.classes, predict, on_window)
        write_labels(slabs, counts, (a, b, c), self.labels[answered], self.certainty[answered])


def _structure(card: ModelCard, native: int) -> Structure:
    structure = card.native_to_canonical.to_canonical[native]
    if structure is None:
        raise WeightsCorrupt(f"Label {native} ({card.native_labels[native]}) of {card.id} stands for no structure.")
    return structure


def _canonical(card: ModelCard, labels: LabelArray) -> LabelArray:
    table = np.zeros(256, dtype=np.uint8)
    for native in card.native_labels:
        table[native] = _structure(card, native)
    return table[labels]

"""The built-in knee U-Net: one pass over the whole scan, in overlapping windows.

It is the first pass of the built-in models (models/knee_edges.py). It can also be run and measured alone, but it cannot
be chosen: registry.py does not list it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import WeightsCorrupt
from pipeline.segmentation.card import BUILT_IN_WEIGHTS, CARD_NAME, ModelCard, card_of, read_card_file
from pipeline.segmentation.identity import WEIGHTS, ModelFile, ModelIdentity
from pipeline.segmentation.segmenter import Availability, Report, availability_of
from pipeline.types import Resources, Scan, Segmentation

if TYPE_CHECKING:
    from pipeline.segmentation.runtime import Network


@dataclass(frozen=True, kw_only=True)
class KneeUnet:
    """axes, resolution_mm, window_voxels: of the network's input (orientation.py, windows.py)."""

    card: ModelCard
    weights: ModelFile
    axes: str
    resolution_mm: float
    window_voxels: int

    @property
    def side_axis(self) -> int:
        """The axis of the network's input that runs between the left and the right of the body."""
        return next(axis for axis, letter in enumerate(self.axes) if letter in "LR")

    def files(self) -> tuple[ModelFile, ...]:
        return (self.weights,)

    def identity(self) -> ModelIdentity:
        return ModelIdentity.of(self.card.id, self.card.source, self.files())

    def availability(self) -> Availability:
        return availability_of(self.files())

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        from pipeline.segmentation import unet

        network = self.load(resources)
        view = unet.view_of(scan, self.axes, self.resolution_mm)
        slabs = unet.probabilities(network, unet.network_input(view), self.window_voxels, report)
        answer = unet.answer(self.card, slabs, view, network.threads)
        return unet.segmentation(self.card, scan, view, answer, unet.confidence(answer))

    def provenance(self, resources: Resources) -> dict[str, object]:
        from pipeline.segmentation import runtime

        return runtime.facts(self.load(resources, ahead=True))

    def load(self, resources: Resources, *, ahead: bool = False) -> Network:
        """ahead: the next call returns the same network. Raises WeightsMissing, WeightsCorrupt, OutOfMemory."""
        from pipeline.segmentation.runtime import load_ahead, load_network

        network = (load_ahead if ahead else load_network)(self.weights.path, self.weights.sha256, resources)
        if network.classes != len(self.card.native_labels) + 1:
            raise WeightsCorrupt(
                f"The network has {network.classes - 1} labels; its card has {len(self.card.native_labels)}."
            )
        return network


@cache
def knee_unet() -> KneeUnet:
    """The model. Raises ModelError if its card cannot be read."""
    return read_knee_unet(BUILT_IN_WEIGHTS / "knee_unet")


def read_knee_unet(folder: Path) -> KneeUnet:
    """From card.json in the folder of the weights. Raises ModelError if it cannot be read."""
    with read_card_file(folder) as data:
        weights = ModelFile(role=WEIGHTS, path=folder / data["weights"], sha256=data["sha256"], stated_in=CARD_NAME)
        return KneeUnet(
            card=card_of(data, folder, {WEIGHTS: weights.sha256}),
            weights=weights,
            axes=data["axes"],
            resolution_mm=float(data["resolution_mm"]),
            window_voxels=int(data["window_voxels"]),
        )

"""The knee U-Net, then edges along normals: networks of a few matrices locate edges between voxels (edges/)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.segmentation.card import BUILT_IN_WEIGHTS, CARD_NAME, ModelCard, card_of, read_card_file
from pipeline.segmentation.identity import FIRST_PASS, WEIGHTS, ModelFile, ModelIdentity
from pipeline.segmentation.models.knee_unet import KneeUnet, knee_unet
from pipeline.segmentation.segmenter import Availability, Report, availability_of
from pipeline.types import Resources, Scan, Segmentation

if TYPE_CHECKING:
    from pipeline.segmentation.edges.network import Ensemble

FIRST_PASS_SHARE: Final = 0.7
"""Fraction of the progress; the remainder is locating edges."""


@dataclass(frozen=True, kw_only=True)
class KneeEdges:
    """weights: the networks that locate edges; first_pass: the model whose edges they refine."""

    card: ModelCard
    weights: ModelFile
    first_pass: KneeUnet

    def files(self) -> tuple[ModelFile, ...]:
        return self.weights, replace(self.first_pass.weights, role=FIRST_PASS)

    def identity(self) -> ModelIdentity:
        return ModelIdentity.of(self.card.id, self.card.source, self.files())

    def availability(self) -> Availability:
        return availability_of(self.files())

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        from pipeline.segmentation import unet
        from pipeline.segmentation.edges.refine import refine_edges
        from pipeline.segmentation.first_pass import recorded

        first, networks = self.first_pass, self.load()
        network = first.load(resources)
        view = unet.view_of(scan, first.axes, first.resolution_mm)
        kept = np.empty((network.classes - 1, *view.frame.isotropic), dtype=np.uint8)
        slabs = unet.probabilities(network, view, first.window_voxels, lambda done: report(FIRST_PASS_SHARE * done))
        answer = unet.answer(self.card, recorded(slabs, kept), view, network.threads)
        pairs = unet.bone_and_cartilage(answer.structures)
        found = refine_edges(networks, view.image, view.frame, kept, pairs, answer.labels)
        for label, certainty in found.items():
            answer.confidence[answer.structures[label]] = certainty.probability
            answer.surface_entropy_bits[answer.structures[label]] = certainty.entropy_bits
        report(1.0)
        return unet.segmentation(self.card, scan, view, answer)

    def provenance(self, resources: Resources) -> dict[str, object]:
        self.load()  # for its errors
        return self.first_pass.provenance(resources)

    def load(self) -> Ensemble:
        """Raises WeightsMissing, WeightsCorrupt."""
        from pipeline.segmentation.edges.network import read_ensemble

        return read_ensemble(self.weights.path, self.weights.sha256)


def find(resources: Resources) -> tuple[KneeEdges, ...]:  # noqa: ARG001 -- independent of resources
    return (knee_edges(),)


@cache
def knee_edges() -> KneeEdges:
    """The model. Raises ModelError if its card cannot be read."""
    folder, first = BUILT_IN_WEIGHTS / "knee_edges", knee_unet()
    with read_card_file(folder) as data:
        weights = ModelFile(role=WEIGHTS, path=folder / data["weights"], sha256=data["sha256"], stated_in=CARD_NAME)
        digests = {WEIGHTS: weights.sha256, FIRST_PASS: first.weights.sha256}
        return KneeEdges(card=card_of(data, folder, digests), weights=weights, first_pass=first)

"""The built-in models: the knee U-Net, then networks of a few matrices that locate edges along the bones' normals
(edges/). In nnunet_cascade the U-Net also sees every window mirrored. In thick slices, and where cartilage is
darker than marrow, both are the U-Net alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.segmentation.card import BUILT_IN_WEIGHTS, CARD_NAME, ModelCard, card_of, read_card_file
from pipeline.segmentation.contrast import signal_ratio
from pipeline.segmentation.identity import FIRST_PASS, WEIGHTS, ModelFile, ModelIdentity
from pipeline.segmentation.knee_unet import KneeUnet, knee_unet
from pipeline.segmentation.segmenter import Availability, Report, availability_of
from pipeline.types import Resources, Scan, Segmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.segmentation.edges.network import Ensemble
    from pipeline.segmentation.unet import Answer, Confidence, View

FIRST_PASS_SHARE: Final = 0.7
"""Fraction of the progress; the remainder is locating edges."""
EDGES_BELOW_MM: Final = 2.0
"""In scans with voxel sides of at least this, the first pass is the result: located edges made regional thickness of
synthetic scans with slices of 2.8 and 4.2 mm less accurate (RMSE .44 and .53 mm; first pass: .36 and .45)."""
LEAST_CONTRAST: Final = 0.9
"""Where cartilage is darker than this times marrow, as in T1 and PD, the first pass is the result: located edges made
regional thickness less accurate (synthetic scans of three held-out knees, RMSE in T1 .34 and PD .33 mm; first pass .25
and .23). The contrast of nine held-out knees was 1.01 to 1.92 in DESS and 0.56 to 0.81 in PD."""
MIRRORED: Final = "mirrored"
"""ModelIdentity.method of a model whose first pass also sees mirrored windows."""


@dataclass(frozen=True, kw_only=True)
class KneeEdges:
    """weights: the networks that locate edges; first_pass: the model whose edges they refine.

    method: "", or MIRRORED
    """

    card: ModelCard
    weights: ModelFile
    first_pass: KneeUnet
    method: str = ""

    def files(self) -> tuple[ModelFile, ...]:
        return self.weights, replace(self.first_pass.weights, role=FIRST_PASS)

    def identity(self) -> ModelIdentity:
        return ModelIdentity.of(self.card.id, self.card.source, self.files(), self.method)

    def availability(self) -> Availability:
        return availability_of(self.files())

    def refines(self, scan: Scan) -> bool:
        """Whether edges are located in this scan; otherwise the answer is that of the first pass."""
        return max(scan.grid.spacing_mm) < EDGES_BELOW_MM

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        from pipeline.segmentation import unet
        from pipeline.segmentation.runtime import thread_count

        first, edges = self.first_pass, self.load()
        view = unet.view_of(scan, first.axes, first.resolution_mm)
        thin = self.refines(scan)
        share = FIRST_PASS_SHARE if thin else 1.0
        # the network is released on return: edges are located in the memory that it used
        answer, kept = self._first_pass(view, resources, lambda done: report(share * done), mirrored=thin)
        located = thin and shows_edges(view, answer)
        sure = _refined(edges, view, kept, answer, thread_count(resources)) if located else unet.confidence(answer)
        report(1.0)
        return unet.segmentation(self.card, scan, view, answer, sure)

    def _first_pass(
        self, view: View, resources: Resources, report: Report, *, mirrored: bool
    ) -> tuple[Answer, NDArray[np.uint8]]:
        """Labels of the U-Net, and its probabilities (first_pass.recorded)."""
        from pipeline.segmentation import unet
        from pipeline.segmentation.first_pass import recorded
        from pipeline.segmentation.runtime import BothSides

        with ThreadPoolExecutor(1) as beside:
            loading = beside.submit(self.first_pass.load, resources)
            volume = unet.network_input(view)
            network = loading.result()
        both = mirrored and self.method == MIRRORED
        look = BothSides(network=network, axis=self.first_pass.side_axis) if both else network
        kept = np.empty((network.classes - 1, *view.frame.isotropic), dtype=np.uint8)
        slabs = unet.probabilities(look, volume, self.first_pass.window_voxels, report)
        return unet.answer(self.card, recorded(slabs, kept), view, network.threads), kept

    def provenance(self, resources: Resources) -> dict[str, object]:
        self.load()  # for its errors
        return self.first_pass.provenance(resources)

    def load(self) -> Ensemble:
        """Raises WeightsMissing, WeightsCorrupt."""
        from pipeline.segmentation.edges.network import read_ensemble

        return read_ensemble(self.weights.path, self.weights.sha256)


def shows_edges(view: View, answer: Answer) -> bool:
    """Whether the image has the contrast in which located edges are more accurate than the first pass."""
    from pipeline.segmentation import unet

    femur, cartilage = unet.bone_and_cartilage(answer.structures)[0]
    contrast = signal_ratio(answer.labels, view.image, view.frame.spacing_mm, femur, cartilage)
    return contrast is None or contrast >= LEAST_CONTRAST


def _refined(edges: Ensemble, view: View, kept: NDArray[np.uint8], answer: Answer, threads: int) -> Confidence:
    """Replace the edges in answer.labels by located ones; the confidence in the result."""
    from pipeline.segmentation import unet
    from pipeline.segmentation.edges.refine import locate_edges, refine_edges

    pairs = unet.bone_and_cartilage(answer.structures)
    with ThreadPoolExecutor(threads) as beside:
        searches = [
            beside.submit(locate_edges, edges, view.image, view.frame, kept, pairs, number, threads)
            for number in range(len(pairs))
        ]
        sure = beside.submit(unet.confidence, answer).result()
        located = [found for search in searches if (found := search.result()) is not None]
    for label, certainty in refine_edges(located, answer.labels).items():
        sure.probability[answer.structures[label]] = certainty.probability
        sure.surface_entropy_bits[answer.structures[label]] = certainty.entropy_bits
    return sure


def find(resources: Resources) -> tuple[KneeEdges, ...]:  # noqa: ARG001 -- independent of resources
    return (knee_edges(), knee_edges_mirrored())


@cache
def knee_edges() -> KneeEdges:
    """nnunet_fullres, the default. Raises ModelError if its card cannot be read."""
    folder, first = BUILT_IN_WEIGHTS / "knee_edges", knee_unet()
    with read_card_file(folder) as data:
        weights = ModelFile(role=WEIGHTS, path=folder / data["weights"], sha256=data["sha256"], stated_in=CARD_NAME)
        digests = {WEIGHTS: weights.sha256, FIRST_PASS: first.weights.sha256}
        return KneeEdges(card=card_of(data, folder, digests), weights=weights, first_pass=first)


@cache
def knee_edges_mirrored() -> KneeEdges:
    """nnunet_cascade, with the same files. Raises ModelError if a card cannot be read."""
    folder, once = BUILT_IN_WEIGHTS / "knee_edges_mirrored", knee_edges()
    with read_card_file(folder) as data:
        return replace(once, card=card_of(data, folder, once.identity().digests), method=MIRRORED)

"""What the checks look at: a scan, and what a model found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.alignment import align_knee
from pipeline.anatomy import Structure
from pipeline.one_knee import one_knee
from pipeline.padding import padding_of, without_planes
from pipeline.regions import split_compartments
from pipeline.segmentation import run
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.identity import ModelFile, ModelIdentity
from pipeline.segmentation.models.knee_edges import KneeEdges
from pipeline.segmentation.segmenter import Availability, Report, Segmenter
from pipeline.surface import bone_surfaces
from pipeline.types import Alignment, Resources, Scan, Segmentation


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One scan and the answers on its grid.

    answer        of the network for one knee, before post-processing
    segmentation  what an analysis measures; tibial cartilage is divided by anatomy
    others        name -> a second answer to the same scan, post-processed: the first pass, or another model
    card          of the model
    """

    scan: Scan
    answer: Segmentation
    segmentation: Segmentation
    alignment: Alignment
    card: ModelCard
    others: Mapping[str, Segmentation] = field(default_factory=dict)


@dataclass(kw_only=True)
class FirstAnswer:
    """A segmenter whose first answer is kept: later ones are to other orientations of the same scan."""

    model: Segmenter
    answer: Segmentation | None = None

    @property
    def card(self) -> ModelCard:
        return self.model.card

    def files(self) -> tuple[ModelFile, ...]:
        return self.model.files()

    def identity(self) -> ModelIdentity:
        return self.model.identity()

    def availability(self) -> Availability:
        return self.model.availability()

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        found = self.model.segment(scan, resources, report)
        self.answer = found if self.answer is None else self.answer
        return found

    def provenance(self, resources: Resources) -> dict[str, object]:
        return self.model.provenance(resources)


def examine(scan: Scan, model: Segmenter, others: tuple[Segmenter, ...], resources: Resources) -> Subject:
    """Segment a scan as an analysis does, and again with every other model.

    Raises as an analysis does: ModelError, TwoKnees, TurnedKnee, ImplausibleAnatomy.
    """
    scan = without_planes(scan, padding_of(scan))
    recorded = FirstAnswer(model=model)
    found = run(recorded, scan, resources, _silent)
    if recorded.answer is None:
        raise AssertionError("the model was not asked")
    alignment = align_knee(bone_surfaces(found, (Structure.FEMUR,))[0])
    return Subject(
        scan=scan,
        answer=one_knee(recorded.answer),
        segmentation=split_compartments(found, alignment),
        alignment=alignment,
        card=model.card,
        others={
            other.card.title: split_compartments(run(other, scan, resources, _silent), alignment)
            for other in (*_first_pass(model, scan), *others)
        },
    )


def _first_pass(model: Segmenter, scan: Scan) -> tuple[Segmenter, ...]:
    """The network whose edges the model moves in this scan, if it does."""
    return (model.first_pass,) if isinstance(model, KneeEdges) and model.refines(scan) else ()


def _silent(fraction: float) -> None:
    """Progress of one scan is not shown."""

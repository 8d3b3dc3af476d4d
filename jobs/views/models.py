"""The models of this server: what each is for, how accurate it is, and whether it can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jobs.settings import load_settings
from pipeline.anatomy import Structure
from pipeline.comparison.reproducibility import Reproducibility, read_reproducibility, reproducibility_path
from pipeline.digest import digest_of
from pipeline.segmentation import registry
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.identity import BUILT_IN, INSTALLED, ModelIdentity, named_digests
from pipeline.segmentation.segmenter import Availability, facts
from pipeline.shape.built_in.model import built_in_shapes
from pipeline.shape.installed import installed_shapes
from pipeline.validation.record import Validation, validations_of


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """A segmentation model.

    repeatability  None if not measured for this model
    validations    figures on labelled sets; outdated_validations: names of sets measured with other weights
    """

    card: ModelCard
    identity: ModelIdentity
    availability: Availability
    repeatability: Reproducibility | None
    validations: tuple[Validation, ...] = ()
    outdated_validations: tuple[str, ...] = ()

    @property
    def repeatability_outdated(self) -> bool:
        """Whether repeatability was measured with other files than those that run now."""
        known = self.repeatability
        return known is not None and named_digests(known.digests) != named_digests(self.identity.digests)

    def public(self) -> dict[str, object]:
        """For JSON, without paths."""
        known = self.repeatability
        return facts(self.card, self.identity) | {
            "available": self.availability.available,
            "reason": self.availability.reason,
            "repeatability": asdict(known) | {"digests": named_digests(known.digests)} if known else None,
        }


@dataclass(frozen=True, kw_only=True)
class ShapeModelFacts:
    """A shape model; what its files do not state is empty. accuracy: structure -> name of a figure -> value."""

    id: str
    family: str = "shape"
    title: str
    description: str = ""
    licence: str = ""
    citation: str = ""
    training_data: str = ""
    caution: str = ""
    sequences: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    measured_on: str = ""
    accuracy: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    weights_sha256: str = ""
    available: bool
    source: str
    reason: str

    def public(self) -> dict[str, object]:
        """For JSON, without paths."""
        return asdict(self)


def models() -> list[ModelFacts]:
    """Every segmentation model that can be chosen, the default first."""
    found = []
    resources = load_settings().resources
    for model in registry.models(resources):
        known = read_reproducibility(reproducibility_path(model.card))
        identity = model.identity()
        measured = validations_of(model.card.id, resources)
        found.append(
            ModelFacts(
                card=model.card,
                identity=identity,
                availability=model.availability(),
                repeatability=known if known.regions else None,
                validations=tuple(item for item in measured if item.holds_for(identity)),
                outdated_validations=tuple(item.set_name for item in measured if not item.holds_for(identity)),
            )
        )
    return found


def validations(identity: ModelIdentity, steps: Mapping[str, int]) -> tuple[Validation, ...]:
    """Figures on labelled sets that hold for an analysis by this model, with steps of these versions."""
    measured = validations_of(identity.id, load_settings().resources)
    return tuple(item for item in measured if item.holds_for(identity, steps))


def model_picture(model_id: str) -> Path | None:
    """A built-in model's outlines on every slice of a real scan; None for others and if there is none."""
    return next((model.card.picture for model in registry.built_in_models() if model.card.id == model_id), None)


def shape_models() -> list[ShapeModelFacts]:
    """The built-in shape model, then installed ones."""
    installed = [
        ShapeModelFacts(
            id=f"nsm/{model.name}",
            title=f"Shape model {model.name}",
            available=not model.problem,
            source=INSTALLED,
            reason=model.problem,
        )
        for model in installed_shapes(load_settings().resources)
    ]
    return [_built_in_shape(), *installed]


def _built_in_shape() -> ShapeModelFacts:
    """One for both kinds of fit, which share their weights."""
    model = built_in_shapes()[0]
    card, accuracy, problem = model.card, model.card.get("accuracy", {}), model.problem
    if not problem and digest_of(model.weights) != card["sha256"]:
        problem = "weights file is damaged"
    return ShapeModelFacts(
        id=f"nsm/{model.name}",
        title=str(card.get("title", "")),
        description=str(card.get("description", "")),
        licence=str(card.get("licence", "")),
        citation=str(card.get("citation", "")),
        training_data=str(card.get("training_data", "")),
        caution=str(card.get("caution", "")),
        structures=(Structure.FEMUR.key, Structure.FEMORAL_CARTILAGE.key),
        measured_on=str(accuracy.get("measured_on", "")),
        accuracy=accuracy.get("structures", {}),
        weights_sha256=str(card.get("sha256", "")),
        available=not problem,
        source=BUILT_IN,
        reason=problem,
    )

"""The card of a segmentation model, from card.json in its folder. Used by web processes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import LATERAL_OF, NAMES, NUMBERINGS, Numbering, Structure, named_numbering
from pipeline.errors import ModelError
from pipeline.segmentation.identity import BUILT_IN
from pipeline.segmentation.limits import (
    ConfidenceFlag,
    ContrastFigures,
    ThickSlices,
    confidence_flag_of,
    contrasts_of,
    holds_for,
    thick_slices_of,
)

BUILT_IN_WEIGHTS: Final = Path(__file__).resolve().parents[2] / "models"
"""Folder of the built-in models."""

CARD_NAME: Final = "card.json"


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Accuracy of one structure; None: not measured. Dice 0 to 1, volume bias relative to the experts' maps."""

    dice: float | None = None
    dice_sd: float | None = None
    dice_worst: float | None = None
    mean_surface_distance_mm: float | None = None
    hausdorff95_mm: float | None = None
    volume_bias_percent: float | None = None


@dataclass(frozen=True, kw_only=True)
class ThicknessError:
    """Error of a region's mean thickness (ThC) relative to the experts' maps, mm: mean and RMS over maps."""

    bias_mm: float
    rmse_mm: float
    knees: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One measurement.

    measured_on  description of the test set
    accuracy     structure -> figures
    thickness    plate/region -> error of its mean thickness
    """

    measured_on: str = ""
    accuracy: Mapping[str, Accuracy] = field(default_factory=dict)
    thickness: Mapping[str, ThicknessError] = field(default_factory=dict)

    @classmethod
    def read(cls, entry: Mapping[str, object]) -> Figures:
        """From a card's JSON. Raises KeyError, TypeError if it is incomplete."""
        values: dict[str, Any] = dict(entry)
        return cls(
            measured_on=values["measured_on"],
            accuracy=MappingProxyType({k: Accuracy(**v) for k, v in values["structures"].items()}),
            thickness=MappingProxyType({k: ThicknessError(**v) for k, v in values.get("thickness", {}).items()}),
        )

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "measured_on": self.measured_on,
            "accuracy": {name: asdict(figures) for name, figures in self.accuracy.items()},
            "thickness": {region: asdict(error) for region, error in self.thickness.items()},
        }


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Facts about a model.

    family               name of the kind of model, for programs
    native_labels        number -> name of every label the model can predict, without background
    native_to_canonical  the canonical structure of each
    source               identity.BUILT_IN or INSTALLED
    folder               folder of its card, picture and repeatability; None: it has none of them
    experimental         structures that were never measured on real ones
    scope                what it segments, what not and why, as text
    real_scan            findings on a real scan, as text; "" if not examined
    figures              accuracy against experts' maps; empty where not measured
    training_renderer    the same on images of the renderer that training used; None where not measured
    thick_slices, contrasts, confidence_flag: when not to trust an answer (limits.py); None or empty where not measured

    Raises ModelError if the remap omits a native label: a structure must never be dropped silently.
    """

    id: str
    title: str
    family: str
    description: str
    native_labels: Mapping[int, str]
    native_to_canonical: Numbering
    source: str = BUILT_IN
    folder: Path | None = None
    sequences: tuple[PulseSequence, ...] = ()
    licence: str = ""
    citation: str = ""
    experimental: tuple[Structure, ...] = ()
    scope: str = ""
    real_scan: str = ""
    training_data: str = ""
    caution: str = ""
    figures: Figures = field(default_factory=Figures)
    training_renderer: Figures | None = None
    thick_slices: ThickSlices | None = None
    contrasts: tuple[ContrastFigures, ...] = ()
    confidence_flag: ConfidenceFlag | None = None

    def __post_init__(self) -> None:
        omitted = sorted(set(self.native_labels) - set(self.native_to_canonical.to_canonical))
        if omitted:
            names = ", ".join(f"{label} ({self.native_labels[label]})" for label in omitted)
            raise ModelError(f"Model {self.id}: labels {names} have no canonical structure; expected one for each.")

    @property
    def picture(self) -> Path | None:
        """Its outlines on every slice of a real scan (make real-scan); None if there is none."""
        path = self.folder / "real_scan.png" if self.folder else None
        return path if path is not None and path.is_file() else None

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures of a finished analysis; a label of both compartments is split by anatomy."""
        found = {self.native_to_canonical.to_canonical[label] for label in self.native_labels} - {None}
        if not self.native_to_canonical.compartments_apart:
            found |= {lateral for medial, lateral in LATERAL_OF.items() if medial in found}
        return tuple(structure for structure in Structure if structure in found)

    def to_dict(self) -> dict[str, object]:
        """For JSON, without paths."""
        return {
            "id": self.id,
            "title": self.title,
            "family": self.family,
            "description": self.description,
            "source": self.source,
            "sequences": [sequence.value for sequence in self.sequences],
            "structures": [structure.key for structure in self.structures],
            "licence": self.licence,
            "citation": self.citation,
            "experimental": [structure.key for structure in self.experimental],
            "scope": self.scope,
            "real_scan": self.real_scan,
            "training_data": self.training_data,
            "caution": self.caution,
            **self.figures.to_dict(),
            "training_renderer": self.training_renderer.to_dict() if self.training_renderer else None,
            "thick_slices": asdict(self.thick_slices) if self.thick_slices else None,
            "contrasts": [asdict(row) for row in self.contrasts],
            "confidence_flag": asdict(self.confidence_flag) if self.confidence_flag else None,
        }


@contextmanager
def read_card_file(folder: Path) -> Iterator[dict[str, Any]]:  # Any: the content of a JSON file
    """The content of card.json in a model's folder. Raises ModelError if it is missing or incomplete."""
    try:
        yield json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The card of model {folder.name} cannot be read: {type(error).__name__}; expected {CARD_NAME} with the "
            "keys that models/README.md lists.",
            hint="Fetch models/ again.",
        ) from error


def card_of(content: Mapping[str, object], folder: Path, digests: Mapping[str, str]) -> ModelCard:
    """From a card.json. digests: of the model's files, by their roles; figures of other files are left out.

    Raises KeyError, TypeError, ValueError where the content is incomplete.
    """
    data: dict[str, Any] = dict(content)
    labels = MappingProxyType({int(label): str(name) for label, name in data["labels"].items()})
    accuracy = data.get("accuracy", {})
    renderer = accuracy.get("training_renderer")
    return ModelCard(
        id=data["id"],
        title=data["title"],
        family=data["family"],
        description=data["description"],
        native_labels=labels,
        native_to_canonical=_numbering_of(data["numbering"], labels),
        folder=folder,
        sequences=tuple(PulseSequence(name) for name in data.get("sequences", ())),
        licence=data.get("licence", ""),
        citation=data.get("citation", ""),
        experimental=tuple(Structure[key.upper()] for key in data.get("experimental", ())),
        scope=data.get("scope", ""),
        real_scan=data.get("real_scan", ""),
        training_data=data.get("training_data", ""),
        caution=data.get("caution", ""),
        figures=Figures.read(accuracy) if accuracy else Figures(),
        thick_slices=thick_slices_of(data),
        contrasts=contrasts_of(data, digests),
        confidence_flag=confidence_flag_of(data, digests),
        training_renderer=Figures.read(renderer) if renderer and holds_for(renderer, digests) else None,
    )


def _numbering_of(numbering: str, labels: Mapping[int, str]) -> Numbering:
    """With this id, or as the labels are named (NAMES). Raises KeyError, ValueError."""
    if numbering != NAMES:
        return NUMBERINGS[numbering]
    found = named_numbering(labels, frozenset(labels))
    if found is None:
        raise ValueError(f"labels {', '.join(labels.values())} are not all names of structures; expected one each")
    return found

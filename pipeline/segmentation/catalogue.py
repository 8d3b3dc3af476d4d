"""The segmentation models there are: one card each. Web processes read this; it imports no inference runtime.

A lab's own weights, a folder `models_dir/<model id>/` in nnU-Net v2 format, take precedence under the same id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import NUMBERINGS, Numbering, Structure
from pipeline.digest import NETWORK_DIGESTS
from pipeline.errors import ModelError, OptionsError
from pipeline.segmentation.limits import ConfidenceFlag, ThickSlices, confidence_flag_of, holds_for, thick_slices_of
from pipeline.types import Resources

BUILT_IN_WEIGHTS: Final = Path(__file__).resolve().parents[2] / "models"
"""Where the weights lie that come with the product."""

NNUNET_HINT: Final = "pip install -r requirements-nnunet.txt"


class Family(StrEnum):
    """How a model is run."""

    UNET = "unet"
    UNET_AND_EDGES = "unet_and_edges"
    NNUNET_V2 = "nnunet_v2"


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What was measured for one structure; None: not measured. Dice 0 to 1, volume bias against the experts' maps."""

    dice: float | None = None
    dice_sd: float | None = None
    dice_worst: float | None = None
    mean_surface_distance_mm: float | None = None
    hausdorff95_mm: float | None = None
    volume_bias_percent: float | None = None


@dataclass(frozen=True, kw_only=True)
class ThicknessError:
    """A region's mean thickness (ThC) against that of the experts' maps, mm: mean and root mean square over maps."""

    bias_mm: float
    rmse_mm: float
    knees: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One measurement.

    measured_on  on what, in words
    accuracy     structure, as the measurement names it -> figures
    thickness    plate/region -> how far its mean thickness is off
    """

    measured_on: str = ""
    accuracy: Mapping[str, Accuracy] = field(default_factory=dict)
    thickness: Mapping[str, ThicknessError] = field(default_factory=dict)

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Figures:
        """From a card's JSON. Raises KeyError, TypeError where it is incomplete."""
        return cls(
            measured_on=entry["measured_on"],
            accuracy=MappingProxyType({k: Accuracy(**v) for k, v in entry["structures"].items()}),
            thickness=MappingProxyType({k: ThicknessError(**v) for k, v in entry.get("thickness", {}).items()}),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "measured_on": self.measured_on,
            "accuracy": {name: asdict(figures) for name, figures in self.accuracy.items()},
            "thickness": {region: asdict(error) for region, error in self.thickness.items()},
        }


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known about a model.

    native_labels        number -> name of every label the network can answer, background left out
    native_to_canonical  what each of them means here
    weights, sha256      file and the digest that it must have ("" where the operator brought the file)
    axes, resolution_mm, window_voxels: how the network, or that of `first`, wants its image (orientation.py); unused by
                         nnU-Net v2
    first                the model whose edges this one reads anew from the image (edges/); None for one pass
    scope                what it outlines, what not and why, in words
    real_scan            what was seen on a real scan, slice by slice, in words; "" where nobody looked
    figures              how near its answers are to experts' maps; empty where nobody measured
    painted              the same on the pictures of training's own painter; None where nobody measured
    thick_slices, confidence_flag: when to distrust an answer (limits.py); None where nobody measured

    Raises ModelError where the remap omits a native label: a structure must never vanish silently.
    """

    id: str
    title: str
    family: Family
    description: str
    native_labels: Mapping[int, str]
    native_to_canonical: Numbering
    weights: Path
    sha256: str
    sequences: tuple[PulseSequence, ...] = ()
    licence: str = ""
    citation: str = ""
    scope: str = ""
    real_scan: str = ""
    training_data: str = ""
    caution: str = ""
    figures: Figures = field(default_factory=Figures)
    painted: Figures | None = None
    thick_slices: ThickSlices | None = None
    confidence_flag: ConfidenceFlag | None = None
    axes: str = "RAS"
    resolution_mm: float = 0.7
    window_voxels: int = 128
    first: ModelCard | None = None

    def __post_init__(self) -> None:
        omitted = sorted(set(self.native_labels) - set(self.native_to_canonical.to_canonical))
        if omitted:
            names = ", ".join(f"{label} ({self.native_labels[label]})" for label in omitted)
            raise ModelError(f"Model {self.id}: labels {names} have no canonical structure; expected one for each.")

    @property
    def picture(self) -> Path | None:
        """Its outlines on every slice of a real scan (make real-scan); None where there is none."""
        path = self.weights.with_name("real_scan.png")
        return path if path.is_file() else None

    @property
    def structures(self) -> tuple[Structure, ...]:
        """What a finished analysis holds; tibial cartilage that comes as one label is split there by anatomy."""
        found = {self.native_to_canonical.to_canonical[label] for label in self.native_labels} - {None}
        if not self.native_to_canonical.compartments_apart and Structure.MEDIAL_TIBIAL_CARTILAGE in found:
            found.add(Structure.LATERAL_TIBIAL_CARTILAGE)
        return tuple(structure for structure in Structure if structure in found)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by NETWORK_DIGESTS; "" where there is no such network."""
        return dict(zip(NETWORK_DIGESTS, (self.sha256, self.first.sha256 if self.first else ""), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """For JSON; holds no path."""
        return {
            "id": self.id,
            "title": self.title,
            "family": self.family.value,
            "description": self.description,
            "sequences": [sequence.value for sequence in self.sequences],
            "structures": [structure.key for structure in self.structures],
            "licence": self.licence,
            "citation": self.citation,
            "scope": self.scope,
            "real_scan": self.real_scan,
            "training_data": self.training_data,
            "caution": self.caution,
            **self.figures.to_dict(),
            "painted": self.painted.to_dict() if self.painted else None,
            "thick_slices": asdict(self.thick_slices) if self.thick_slices else None,
            "confidence_flag": asdict(self.confidence_flag) if self.confidence_flag else None,
        } | self.digests


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a model can run here. source: `built-in` or `installed`; reason: what is missing, for the operator."""

    available: bool
    source: str
    reason: str = ""


def read_card(
    folder: Path, *, id: str, family: Family, title: str, description: str, first: ModelCard | None = None
) -> ModelCard:
    """The card of built-in weights, from `card.json` beside them.

    Raises ModelError where the card is missing or incomplete.
    """
    try:
        data = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        plain = ModelCard(
            id=id,
            title=title,
            family=family,
            description=description,
            native_labels=MappingProxyType({int(label): str(name) for label, name in data["labels"].items()}),
            native_to_canonical=NUMBERINGS[data["numbering"]],
            weights=folder / data["weights"],
            sha256=data["sha256"],
            sequences=tuple(PulseSequence(name) for name in data["sequences"]),
            licence=data["licence"],
            citation=data["citation"],
            scope=data["scope"],
            real_scan=data.get("real_scan", ""),
            training_data=data["training_data"],
            caution=data["caution"],
            figures=Figures.read(data["accuracy"]),
            thick_slices=thick_slices_of(data),
            axes=first.axes if first else data["axes"],
            resolution_mm=first.resolution_mm if first else float(data["resolution_mm"]),
            window_voxels=first.window_voxels if first else int(data["window_voxels"]),
            first=first,
        )
        painted = data["accuracy"].get("painted")
        return replace(
            plain,
            confidence_flag=confidence_flag_of(data, plain.digests),
            painted=Figures.read(painted) if painted and holds_for(painted, plain.digests) else None,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The card of model {id} cannot be read: {type(error).__name__}; expected card.json beside the weights.",
            hint="Fetch models/ again.",
        ) from error


_ONE_PASS: Final = read_card(
    BUILT_IN_WEIGHTS / "knee_unet",
    id="nnunet_fullres",
    family=Family.UNET,
    title="Knee U-Net, one pass (built in)",
    description="A compact 3D U-Net of this project looks once over the whole scan in overlapping windows.",
)
CATALOGUE: Final = (
    _ONE_PASS,
    read_card(
        BUILT_IN_WEIGHTS / "knee_edges",
        id="nnunet_cascade",
        family=Family.UNET_AND_EDGES,
        title="Knee U-Net, then edges along normals (built in)",
        description=(
            "The one pass finds the knee at 0.7 mm. Then the scan is read once more along the normals of the bones, "
            "every 0.7 mm, and three small networks say where, between voxels, bone and cartilage end. On held-out "
            "imagined scans outlines and thickness are closer to the experts' than those of one pass, for a few "
            "seconds more."
        ),
        first=_ONE_PASS,
    ),
)
"""Default first. The ids equal options.ModelChoice."""


def card(model_id: str) -> ModelCard:
    """The built-in card of a model. Raises OptionsError where there is none of that id."""
    for entry in CATALOGUE:
        if entry.id == model_id:
            return entry
    raise OptionsError(
        f"segmentation_model is {model_id!r}; expected one of {', '.join(entry.id for entry in CATALOGUE)}.",
        option="segmentation_model",
    )


def installed_folder(model_id: str, resources: Resources) -> Path | None:
    """The lab's own model of this id: `models_dir/<id>/` with a plans.json; None where there is none."""
    if resources.models_dir is None:
        return None
    folder = resources.models_dir / card(model_id).id
    return folder if (folder / "plans.json").is_file() else None


def checkpoints(folder: Path) -> tuple[Path, ...]:
    """The trained folds of an nnU-Net v2 folder, in the order of their names."""
    return tuple(sorted(folder.glob("fold_*/checkpoint_final.pth")))


def availability(entry: ModelCard, resources: Resources) -> Availability:
    """Whether the model's weights and runtime are there. Loads neither; the digest is checked when they are used."""
    folder = installed_folder(entry.id, resources)
    if folder is None:
        present = all(model.weights.is_file() for model in (entry, entry.first) if model)
        return Availability(available=present, source="built-in", reason="" if present else "weights file is missing")
    reason = ""
    if not (folder / "dataset.json").is_file():
        reason = "dataset.json is missing"
    elif not checkpoints(folder):
        reason = "no fold_*/checkpoint_final.pth"
    elif find_spec("nnunetv2") is None:
        reason = f"the nnunetv2 package is not installed: {NNUNET_HINT}"
    return Availability(available=not reason, source="installed", reason=reason)


def available(entry: ModelCard, resources: Resources) -> bool:
    """Whether the model can run here."""
    return availability(entry, resources).available

"""The figures of a model on a labelled set: validation/<set>.json beside the weights of the model.

One place for all models: MODELS_DIR/<model>/validation/, for built-in models too, whose folder may be read-only.
Figures hold for the files they were measured with: those of other weights are not shown. The file holds no name of a
case.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.anatomy import place_order, place_title
from pipeline.quantities import QUANTITIES, SECOND, Quantity
from pipeline.segmentation.identity import ModelIdentity
from pipeline.types import Resources
from pipeline.workspace import write_json

FOLDER: Final = "validation"
FORM: Final = 1
"""Version of the file's structure; files of another one are not read."""


@dataclass(frozen=True, kw_only=True)
class StructureFigures:
    """Agreement of one structure over n cases. Distances leave out the `missed` ones, where the model found nothing."""

    n: int
    missed: int
    dice: float
    dice_sd: float
    dice_worst: float
    assd_mm: float
    hd95_mm: float


@dataclass(frozen=True, kw_only=True)
class PlaceFigures:
    """A measure of one region; see statistics.PairedFigures. missed: cases in which the model has no value."""

    quantity: str
    method: str
    structure: str
    region: str
    n: int
    missed: int
    bias: float
    sd: float
    rmse: float
    low: float
    high: float
    icc: float
    pearson: float
    expert_mean: float

    @property
    def of(self) -> Quantity:
        return QUANTITIES[self.quantity]

    @property
    def title(self) -> str:
        """The place, and the method where it is not the primary one."""
        place = place_title(self.structure, self.region)
        return f"{place} ({SECOND.display_name})" if self.method == SECOND else place


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One model on one labelled set.

    cases, refused  number of cases with and without a result; unpaired: scans or label maps without a counterpart
    not_in_set, not_segmented  structures without a figure, because the set or the model lacks them
    numbering       that was decided, or `names`
    without_bones   whether the label maps hold no bones: then thickness is that of the cartilage alone (SECOND), on the
                    bones of the model
    steps           versions of the steps that made the figures
    """

    set_name: str
    layout: str
    numbering: str
    model: ModelIdentity
    model_title: str
    date: str
    program: Mapping[str, str]
    steps: Mapping[str, int]
    options: Mapping[str, object]
    cases: int
    refused: int
    unpaired: int
    without_bones: bool
    structures: Mapping[str, StructureFigures] = field(default_factory=dict)
    places: tuple[PlaceFigures, ...] = ()
    not_in_set: tuple[str, ...] = ()
    not_segmented: tuple[str, ...] = ()

    def place(self, quantity: Quantity, structure: str, region: str) -> PlaceFigures | None:
        """The figures of one region, by the primary method if there are some; None if it was not measured."""
        wanted = (quantity.id, structure, region)
        found = [place for place in self.places if (place.quantity, place.structure, place.region) == wanted]
        return min(found, key=lambda place: place.method == SECOND, default=None)

    def of_quantity(self, quantity: Quantity) -> tuple[PlaceFigures, ...]:
        """Of all regions, in the order of tables."""
        found = [place for place in self.places if place.quantity == quantity.id]
        return tuple(
            sorted(found, key=lambda place: (place.method == SECOND, place_order(place.structure, place.region)))
        )

    def holds_for(self, identity: ModelIdentity, steps: Mapping[str, int] | None = None) -> bool:
        """Whether it was measured with these files, used in the same way, and with steps of these versions."""
        same = (self.model.digests, self.model.method) == (identity.digests, identity.method)
        return same and all(steps.get(name, version) == version for name, version in self.steps.items() if steps)

    def to_dict(self) -> dict[str, object]:
        """For JSON; undefined figures are null."""
        plain: dict[str, object] = _without_nan(asdict(self) | {"model": self.model.to_dict()})
        return {"form": FORM} | plain


def validation_path(models_dir: Path, model_id: str, set_name: str) -> Path:
    """Where the figures of a model on a set are."""
    return models_dir / model_id / FOLDER / f"{set_name}.json"


def write_validation(validation: Validation, path: Path) -> None:
    """Whole or not at all; the folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, validation.to_dict())


def validations_of(model_id: str, resources: Resources) -> tuple[Validation, ...]:
    """All figures of a model, also those of other weights, by name of the set; unreadable files are left out."""
    if resources.models_dir is None:
        return ()
    paths = sorted((resources.models_dir / model_id / FOLDER).glob("*.json"))
    return tuple(found for path in paths if (found := _read(path)) is not None)


def _read(path: Path) -> Validation | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("form") != FORM:
            return None
        return Validation(
            **data
            | {
                "model": ModelIdentity.from_dict(data["model"]),
                "structures": {k: StructureFigures(**_with_nan(v)) for k, v in data["structures"].items()},
                "places": tuple(PlaceFigures(**_with_nan(v)) for v in data["places"] if v["quantity"] in QUANTITIES),
                "not_in_set": tuple(data["not_in_set"]),
                "not_segmented": tuple(data["not_segmented"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _with_nan(values: Mapping[str, object]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in values.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Scan-rescan repeatability of figures: reproducibility.json in the folder of a model's weights."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipeline.anatomy import Structure, outlines_of_place
from pipeline.comparison.knee import Knee
from pipeline.detectable import Detectable, denuded_percent
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.identity import ModelIdentity
from pipeline.segmentation.registry import built_in_models
from pipeline.types import Measurement

FILE: Final = "reproducibility.json"


@dataclass(frozen=True, kw_only=True)
class Reproducibility:
    """How repeatability was measured, with which model and files (ModelIdentity.digests), and the results.

    regions: `structure/region` -> cv_percent, sdc_mm, mean_mm; empty if not measured
    sdc_mm_per_denuded_percent: pipeline.detectable
    """

    method: str = ""
    model: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    knees: int = 0
    repeats: int = 0
    regions: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    sdc_mm_per_denuded_percent: float = 0.0

    def sdc_mm(self, structure: str, region: str) -> float | None:
        """The smallest detectable change of a region's mean thickness; None: not known."""
        return self.detectable.mm(f"{structure}/{region}")

    def in_knees(self, *tables: Iterable[Measurement]) -> Reproducibility:
        """The figures for visits of one knee with these measurements: larger where bone is denuded in one of them."""
        worn, known = denuded_percent(*tables), self.detectable
        found = {key: dict(row) | {"sdc_mm": known.mm(key, worn.get(key, 0.0))} for key, row in self.regions.items()}
        return replace(self, regions=found, sdc_mm_per_denuded_percent=0.0)

    def without(self, edited: Collection[Structure]) -> Reproducibility:
        """The figures of places to which outlines that a reader has corrected do not contribute."""
        kept = {
            key: row for key, row in self.regions.items() if outlines_of_place(*key.split("/", 1)).isdisjoint(edited)
        }
        return replace(self, regions=kept)

    @property
    def detectable(self) -> Detectable:
        """The smallest detectable change of mean thickness."""
        known = {key: row.get("sdc_mm") for key, row in self.regions.items()}
        places = {key: float(mm) for key, mm in known.items() if isinstance(mm, (int, float)) and math.isfinite(mm)}
        return Detectable(places_mm=places, per_percent_mm=self.sdc_mm_per_denuded_percent)


def reproducibility_path(card: ModelCard) -> Path | None:
    """Path of a model's figures, which may not exist; None for a model without a folder."""
    return card.folder / FILE if card.folder else None


def reproducibility_paths() -> tuple[Path, ...]:
    """The paths of the built-in models."""
    paths = (reproducibility_path(model.card) for model in built_in_models())
    return tuple(path for path in paths if path is not None)


def figures_of(model: ModelIdentity) -> Reproducibility:
    """The figures that were measured with exactly these files; empty if there are none."""
    if model.digests:
        for path in reproducibility_paths():
            known = read_reproducibility(path)
            if known.regions and known.model == model.id and known.digests == model.digests:
                return known
    return Reproducibility()


def known_of(first: Knee, second: Knee) -> Reproducibility:
    """The figures of the model that segmented both knees, of places that no reader has corrected in either; empty if
    the models differ or were not measured.
    """
    known = figures_of(first.model) if first.model == second.model else Reproducibility()
    return known.without(first.edited | second.edited)


def read_reproducibility(path: Path | None) -> Reproducibility:
    """The content of the file; empty if it is missing."""
    if path is None:
        return Reproducibility()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Reproducibility()
    return Reproducibility(
        method=str(data.get("method", "")),
        model=str(data.get("model", "")),
        digests=dict(data.get("digests", {})),
        knees=int(data.get("knees", 0)),
        repeats=int(data.get("repeats", 0)),
        regions=dict(data.get("regions", {})),
        sdc_mm_per_denuded_percent=float(data.get("sdc_mm_per_denuded_percent", 0.0)),
    )

"""How much a figure changes when the same knee is scanned again: reproducibility.json beside a model's weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.comparison.knee import Knee
from pipeline.digest import NETWORK_DIGESTS
from pipeline.segmentation.catalogue import CATALOGUE, ModelCard

FILE: Final = "reproducibility.json"


@dataclass(frozen=True, kw_only=True)
class Reproducibility:
    """How it was measured, with which model and networks (digests, by NETWORK_DIGESTS), and what was found.

    regions: `structure/region` -> cv_percent, sdc_mm, mean_mm (of mean ThC); empty where nothing was measured
    """

    method: str = ""
    model: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    knees: int = 0
    repeats: int = 0
    regions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def sdc_mm(self, structure: str, region: str) -> float | None:
        """The smallest detectable change of a region's mean thickness; None: not known."""
        value = self.regions.get(f"{structure}/{region}", {}).get("sdc_mm")
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def reproducibility_path(model: ModelCard) -> Path:
    """Where the figures of a built-in model lie, if somebody has measured them."""
    return model.weights.with_name(FILE)


def known_of(first: Knee, second: Knee) -> Reproducibility:
    """What was measured with the networks that outlined both knees; nothing known where these differ, or for others."""
    digests = [{name: str(knee.model.get(name, "")) for name in NETWORK_DIGESTS} for knee in (first, second)]
    if digests[0] == digests[1]:
        for model in CATALOGUE:
            known = read_reproducibility(reproducibility_path(model))
            if known.regions and known.digests == digests[0]:
                return known
    return Reproducibility()


def read_reproducibility(path: Path) -> Reproducibility:
    """The file's content; nothing known where there is no such file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Reproducibility()
    return Reproducibility(
        method=str(data.get("method", "")),
        model=str(data.get("model", "")),
        digests={name: str(data.get(name, "")) for name in NETWORK_DIGESTS},
        knees=int(data.get("knees", 0)),
        repeats=int(data.get("repeats", 0)),
        regions=dict(data.get("regions", {})),
    )

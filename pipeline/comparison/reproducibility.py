"""How much a figure changes when the same knee is scanned again: models/reproducibility.json, if it exists."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.comparison.names import REPRODUCIBILITY_PATH
from pipeline.digest import NETWORK_DIGESTS


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


def read_reproducibility(path: Path = REPRODUCIBILITY_PATH) -> Reproducibility:
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

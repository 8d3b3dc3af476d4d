"""Distribution of thickness in each region: area by thickness, as used by the charts of the pages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import PLATE_ON, REGIONS
from pipeline.quantities import PRIMARY
from pipeline.types import ThicknessMap

BIN_MM: Final = 0.1
HIGHEST_MM: Final = 6.0
"""Thicker cartilage is in the last bin."""


def thickness_distributions(maps: Iterable[ThicknessMap]) -> dict[str, object]:
    """`edges_mm` (b + 1) and, per region (`femoral_cartilage/anterior`), the area in mm² of each of the b bins.

    Denuded points (0 mm) are in the first bin; points outside the plates (NaN) in none. Estimator: the primary one.
    """
    bins = round(HIGHEST_MM / BIN_MM)
    regions = {}
    for item in maps:
        if item.method != PRIMARY:
            continue
        for region in REGIONS:
            inside = (item.region == region.label) & np.isfinite(item.thickness_mm)
            if region.plate != PLATE_ON[item.surface.structure] or not inside.any():
                continue
            place = np.minimum((item.thickness_mm[inside] / BIN_MM).astype(np.int64), bins - 1)
            area = np.bincount(place, weights=item.surface.vertex_areas_mm2[inside], minlength=bins)
            regions[region.key] = [round(float(value), 3) for value in area]
    return {"edges_mm": [round(k * BIN_MM, 6) for k in range(bins + 1)], "regions": regions}


def write_distributions(path: Path, maps: Iterable[ThicknessMap]) -> None:
    """The distributions as gzip of JSON."""
    text = json.dumps(thickness_distributions(maps), separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 6, mtime=0))

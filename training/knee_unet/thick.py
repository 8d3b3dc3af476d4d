"""Up to which slice thickness cartilage can be used: scans with bright fat and thicker and thicker slices."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.anatomy import PLATES
from pipeline.types import Scan, Segmentation
from training.knee_unet.agreement import compare, region_means
from training.knee_unet.scans import thick_scan
from training.knee_unet.specimen import read_expert_map

SEED: Final = 70_500
FACTORS: Final = (2, 4, 6)
"""Slices of 0.7 mm that make one."""
USABLE_DICE: Final = 0.70
"""Mean Dice of the cartilage from which agreement is called good (Zijdenbos et al., IEEE TMI 13, 1994: 716)."""
USABLE_RMSE_MM: Final = 0.25
"""Of a region's mean thickness against the expert map at full resolution: about an eighth of healthy cartilage."""


@dataclass(frozen=True, kw_only=True)
class ThickKnee:
    """One scan with thick slices.

    dice      by part, on the scan's own grid
    error_mm  by region: our mean ThC - the expert's at full resolution; NaN where we found none
    """

    slice_mm: float
    dice: dict[str, float]
    error_mm: dict[str, float]


def examine_thick(
    path: Path, number: int, numbering: str, segment: Callable[[Scan], Segmentation], factor: int
) -> ThickKnee:
    """Render, segment and compare one map."""
    knee = read_expert_map(path, numbering)
    scan, truth = thick_scan(knee, SEED + number, factor=factor)
    found = segment(scan)
    ours, true = region_means(found), region_means(knee)
    return ThickKnee(
        slice_mm=round(scan.grid.spacing_mm[0], 2),
        dice={name: one.dice for name, one in compare(found, truth).items()},
        error_mm={region: ours.get(region, np.nan) - value for region, value in true.items()},
    )


def thick_figures(knees: list[ThickKnee]) -> dict[str, Any]:
    """For the card: means by slice thickness, and the thickest slices up to which cartilage is usable."""
    rows = []
    plates = frozenset(PLATES.values())
    for slice_mm in sorted({knee.slice_mm for knee in knees}):
        here = [knee for knee in knees if knee.slice_mm == slice_mm]
        errors = np.array([error for knee in here for error in knee.error_mm.values()])
        rows.append(
            {
                "slice_mm": slice_mm,
                "knees": len(here),
                "bone_dice": _mean(here, set(here[0].dice) - plates),
                "cartilage_dice": _mean(here, plates),
                "thickness_rmse_mm": round(float(np.sqrt(np.nanmean(errors**2))), 3),
            }
        )
    return {
        "measured_on": (
            "spin echo, bright fat, some of the same knees: mean Dice on the scan's own grid, RMSE of the regions' "
            "mean thickness against the expert map at full resolution"
        ),
        "rows": rows,
        "usable_slice_mm": usable_slice_mm(rows),
    }


def usable_slice_mm(rows: list[dict[str, Any]]) -> float:
    """The thickest slices tried up to which, from the thinnest on, both figures are good enough; 0 where none are."""
    usable = 0.0
    for row in sorted(rows, key=lambda row: float(row["slice_mm"])):
        if row["cartilage_dice"] < USABLE_DICE or row["thickness_rmse_mm"] > USABLE_RMSE_MM:
            break
        usable = float(row["slice_mm"])
    return usable


def _mean(knees: list[ThickKnee], parts: Collection[str]) -> float:
    return round(float(np.mean([dice for knee in knees for name, dice in knee.dice.items() if name in parts])), 3)

"""Maximum slice thickness for usable cartilage: scans with bright fat and increasing slice thickness."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.anatomy import Plate
from pipeline.types import Scan, Segmentation
from training.knee_unet.agreement import compare, region_means
from training.knee_unet.scans import thick_scan
from training.knee_unet.specimen import read_expert_map

SEED: Final = 70_500
FACTORS: Final = (2, 4, 6)
"""Numbers of 0.7 mm slices averaged to one."""
USABLE_DICE: Final = 0.70
"""Mean cartilage Dice from which agreement is considered good (Zijdenbos et al., IEEE TMI 13, 1994: 716)."""
USABLE_RMSE_MM: Final = 0.25
"""RMSE of a region's mean thickness compared with the expert map at full resolution: about 1/8 of healthy cartilage."""


@dataclass(frozen=True, kw_only=True)
class ThickKnee:
    """One scan with thick slices.

    dice      per part, on the scan's grid
    error_mm  per region: our mean ThC - the expert's at full resolution; NaN if the region was not found
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
    """Figures for the card: means per slice thickness, and the maximum usable slice thickness."""
    rows = []
    plates = frozenset(plate.value for plate in Plate)
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
            "spin echo, bright fat, some of the same knees: mean Dice on the scan's grid, RMSE of the regions' "
            "mean thickness compared with the expert map at full resolution"
        ),
        "rows": rows,
        "usable_slice_mm": usable_slice_mm(rows),
    }


def usable_slice_mm(rows: list[dict[str, Any]]) -> float:
    """The largest tried thickness up to which all thicknesses meet both limits; 0 if none does."""
    usable = 0.0
    for row in sorted(rows, key=lambda row: float(row["slice_mm"])):
        if row["cartilage_dice"] < USABLE_DICE or row["thickness_rmse_mm"] > USABLE_RMSE_MM:
            break
        usable = float(row["slice_mm"])
    return usable


def _mean(knees: list[ThickKnee], parts: Collection[str]) -> float:
    return round(float(np.mean([dice for knee in knees for name, dice in knee.dice.items() if name in parts])), 3)

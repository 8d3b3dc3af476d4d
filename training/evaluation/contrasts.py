"""Whether cartilage is usable in each sequence: from the conditions with voxels of up to 1 mm, for the model's card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline.anatomy import BONES, Plate
from pipeline.segmentation.limits import ContrastFigures
from training.evaluation.examine import MARROW_CONTRAST, Group
from training.evaluation.table import Row
from training.knee_unet.built_in import read_card
from training.knee_unet.thick import USABLE_DICE, USABLE_RMSE_MM


def contrast_figures(rows: list[Row]) -> list[ContrastFigures]:
    """Of every condition that is a whole sequence and in which a knee could be measured. The limits of `usable` are
    those of thick slices.
    """
    return [_figures(row) for row in rows if row.condition.sequence and row.measured]


def _figures(row: Row) -> ContrastFigures:
    plates, bones = {plate.value for plate in Plate}, {bone.key for bone in BONES}
    errors = np.array([error for knee in row.measured for error in knee.values[Group.THC.value].values()])
    contrasts = [knee.values[Group.CONTRAST.value][MARROW_CONTRAST] for knee in row.measured]
    cartilage_dice, rmse_mm = _mean_dice(row, plates), round(float(np.sqrt(np.nanmean(errors**2))), 3)
    return ContrastFigures(
        name=row.condition.sequence,
        marrow_contrast=round(float(np.exp(np.mean(np.log(contrasts)))), 2),
        knees=len(row.measured),
        bone_dice=_mean_dice(row, bones),
        cartilage_dice=cartilage_dice,
        thickness_bias_mm=round(float(np.nanmean(errors)), 3),
        thickness_rmse_mm=rmse_mm,
        usable=cartilage_dice >= USABLE_DICE and rmse_mm <= USABLE_RMSE_MM,
    )


def _mean_dice(row: Row, names: set[str]) -> float:
    found = [dice for k in row.measured for name, dice in k.values[Group.DICE.value].items() if name in names]
    return round(float(np.mean(found)), 3)


def write_contrasts(path: Path, digests: Mapping[str, str], rows: list[ContrastFigures]) -> None:
    """Write them into a model's card. Raises ValueError if its digest differs from that of the measured weights."""
    content = read_card(path, digests)
    content["contrasts"] = {
        "made_by": "make evaluate-conditions",
        "measured_on": "synthetic scans of held-out expert maps, rendered by the second renderer; not real scans",
        "digests": dict(digests),
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

"""Reasons to look twice at a result: flags, never a refusal."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import ALL, BONES, CARTILAGE_OF, Plate, Structure, place_title
from pipeline.quantities import PRIMARY, QUANTITIES, THC, VOLUME
from pipeline.types import Alignment, Measurement, QualityFlag, Segmentation

RANGES_PATH: Final = Path(__file__).parent.parent / "models" / "reference_knee" / "ranges.json"
"""What expert label maps show, made by `python -m training.ranges`."""

COARSE_MM: Final = 1.5
"""Voxels longer than this cannot resolve the cartilage's edge: thickness is then an estimate of the interpolation."""

RANGE_SLACK: Final = 0.15
"""A value may lie this share outside the range of the expert maps before it is flagged."""

SURE_RATIO: Final = 1.05
"""The other side's fit must be this much worse before anatomy is believed against the header."""

POOR_FIT_MM: Final = 1.5
"""Mean distance between femur and reference above which the outline is suspect; expert maps stay below 1.2."""

_TABLED: Final = (*BONES, *(plate for plates in CARTILAGE_OF.values() for plate in plates))


@lru_cache(maxsize=1)
def expert_ranges() -> dict[str, tuple[float, float]]:
    """`quantity/structure/region` -> (lowest, highest) value among expert label maps."""
    data = json.loads(RANGES_PATH.read_text(encoding="utf-8"))
    return {key: (float(low), float(high)) for key, (low, high) in data["ranges"].items()}


def quality_flags(
    segmentation: Segmentation,
    alignment: Alignment,
    measurements: tuple[Measurement, ...],
    *,
    stated_side: str | None,
) -> tuple[QualityFlag, ...]:
    """Everything that speaks against trusting the numbers, each with its reason.

    stated_side: left or right as the user or the header says; None where neither does.
    """
    return (
        *_missing(segmentation),
        *_cut(segmentation),
        *_coarse(segmentation),
        *_side(alignment, stated_side),
        *_implausible(measurements),
    )


def _missing(segmentation: Segmentation) -> list[QualityFlag]:
    return [
        QualityFlag(
            code="STRUCTURE_MISSING",
            structure=structure.key,
            message=f"{structure.title} was not found; its measures are missing.",
        )
        for structure in _TABLED
        if structure not in segmentation.boxes
    ]


def _cut(segmentation: Segmentation) -> list[QualityFlag]:
    """Cartilage or patella at the border of the image; femur and tibia always leave it along their shafts."""
    flags = []
    labels = segmentation.labels
    faces = [np.take(labels, side, axis=axis) for axis in range(3) for side in (0, -1)]
    for structure in (Structure.PATELLA, *(s for s in _TABLED if s not in BONES)):
        touched = sum(int((face == structure).sum()) for face in faces)
        if touched:
            flags.append(
                QualityFlag(
                    code="CUT_BY_FIELD_OF_VIEW",
                    structure=structure.key,
                    message=f"{structure.title} touches the border of the image in {touched} voxels: "
                    "part of it may lie outside, so area and volume are too small.",
                )
            )
    return flags


def _coarse(segmentation: Segmentation) -> list[QualityFlag]:
    coarsest = max(segmentation.grid.spacing_mm)
    if coarsest <= COARSE_MM + 0.01:  # spacings come as float32
        return []
    return [
        QualityFlag(
            code="SPACING_TOO_COARSE",
            message=f"Voxels are up to {coarsest:.3g} mm long; thickness needs {COARSE_MM} mm or less. "
            "Take thickness, area and volume as rough.",
        )
    ]


def _side(alignment: Alignment, stated_side: str | None) -> list[QualityFlag]:
    flags = []
    sure = alignment.residual_other_mm > SURE_RATIO * alignment.residual_mm
    here, there = f"{alignment.residual_mm:.2f} mm", f"{alignment.residual_other_mm:.2f} mm"
    fits = f"fits a {alignment.side} knee to {here}, a {alignment.side.other} one to {there}"
    if stated_side is not None and stated_side != alignment.side and sure:
        flags.append(
            QualityFlag(
                code="WRONG_SIDE_SUSPECTED",
                message=f"Stated is a {stated_side} knee, but the femur {fits}. Medial and lateral follow the anatomy.",
            )
        )
    elif not sure:
        flags.append(
            QualityFlag(
                code="SIDE_UNCERTAIN",
                message=f"The femur {fits}: left and right, and with them medial and lateral, are uncertain.",
            )
        )
    if alignment.residual_mm > POOR_FIT_MM:
        flags.append(
            QualityFlag(
                code="UNUSUAL_FEMUR",
                structure=Structure.FEMUR.key,
                message=f"The femur lies {alignment.residual_mm:.1f} mm from the reference knee on average; "
                f"expected at most {POOR_FIT_MM} mm. Look at the outlines.",
            )
        )
    return flags


def tracked(row: Measurement) -> str | None:
    """The key under which expert_ranges() holds a row; None for rows that are not compared."""
    thickness = (row.quantity, row.method, row.statistic) == (THC.id, PRIMARY, THC.main)
    volume = row.quantity == VOLUME.id and row.region == ALL
    if row.structure not in tuple(Plate) or not (thickness or volume):
        return None
    return f"{row.quantity}/{row.structure}/{row.region}"


def _implausible(measurements: tuple[Measurement, ...]) -> list[QualityFlag]:
    flags = []
    ranges = expert_ranges()
    for row in measurements:
        key = tracked(row)
        if key is None or key not in ranges or not row.n:
            continue
        low, high = ranges[key]
        if not low * (1 - RANGE_SLACK) <= row.value <= high * (1 + RANGE_SLACK):
            quantity = QUANTITIES[row.quantity]
            unit, place = quantity.unit.symbol, place_title(row.structure, row.region).lower()
            flags.append(
                QualityFlag(
                    code="OUTSIDE_EXPERT_RANGE",
                    structure=row.structure,
                    message=f"{quantity.title} of {place} is {row.value:.4g} {unit}; "
                    f"expert label maps show {low:.4g} to {high:.4g} {unit}.",
                )
            )
    return flags
